//! Vectors on SQLite: in rows, and once more in blocks, rounded, for who looks through them all.

mod search;
mod slots;
mod write;

use std::collections::BTreeMap;

use sqlx::FromRow;
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::apply::Gone;
use super::blocks::{Block, SLOTS};
pub(super) use search::nearest;
use slots::Kind;
pub(super) use write::write;

#[derive(FromRow)]
struct Removed {
    owner: Uuid,
    model: String,
    dimension: i64,
    slot: i64,
}

impl Removed {
    fn kind(&self) -> Kind<'_> {
        Kind { owner: self.owner.into(), model: &self.model, dimension: self.dimension }
    }
}

pub(super) async fn remove(tx: &mut Tx, gone: Gone) -> Result<(), StoreError> {
    let (column, id) = gone.key();
    let select = format!("select owner, model, dimension, slot from vectors where {column} = $1 and slot is not null");
    let removed: Vec<Removed> = on_tx!(tx, connection => sqlx::query_as(&select).bind(id).fetch_all(connection).await)?;
    let delete = format!("delete from vectors where {column} = $1");
    on_tx!(tx, connection => sqlx::query(&delete).bind(id).execute(connection).await.map(|_| ()))?;
    let mut slots: BTreeMap<(Kind<'_>, i64), Vec<i64>> = BTreeMap::new();
    for row in &removed {
        slots.entry((row.kind(), row.slot / SLOTS)).or_default().push(row.slot);
    }
    for ((kind, number), slots) in slots {
        clear(tx, kind, number, &slots).await?;
    }
    Ok(())
}

/// Empties slots of one block, if it was made already; without any vector there is no block.
async fn clear(tx: &mut Tx, kind: Kind<'_>, number: i64, slots: &[i64]) -> Result<(), StoreError> {
    let Some(mut block) = load(tx, kind, number).await? else { return Ok(()) };
    let dimension = usize::try_from(kind.dimension).unwrap_or(0);
    for slot in slots {
        block.clear(*slot, dimension);
    }
    save(tx, kind, number, block).await
}

async fn load(tx: &mut Tx, kind: Kind<'_>, number: i64) -> Result<Option<Block>, StoreError> {
    let sql =
        "select vectors, places from vector_blocks where owner = $1 and model = $2 and dimension = $3 and number = $4";
    let owner = Uuid::from(kind.owner);
    let block: Option<(Vec<u8>, Vec<u8>)> = on_tx!(tx, connection => {
        let query = sqlx::query_as(sql).bind(owner).bind(kind.model).bind(kind.dimension).bind(number);
        query.fetch_optional(connection).await
    })?;
    Ok(block.map(|(vectors, places)| Block { vectors, places }))
}

async fn save(tx: &mut Tx, kind: Kind<'_>, number: i64, block: Block) -> Result<(), StoreError> {
    let owner = Uuid::from(kind.owner);
    let delete = "delete from vector_blocks where owner = $1 and model = $2 and dimension = $3 and number = $4";
    on_tx!(tx, connection => {
        let query = sqlx::query(delete).bind(owner).bind(kind.model).bind(kind.dimension).bind(number);
        query.execute(connection).await.map(|_| ())
    })?;
    if block.is_empty() {
        return Ok(());
    }
    let Block { vectors, places } = block;
    let insert = "insert into vector_blocks (owner, model, dimension, number, places, vectors) \
                  values ($1, $2, $3, $4, $5, $6)";
    Ok(on_tx!(tx, connection => {
        let query = sqlx::query(insert).bind(owner).bind(kind.model).bind(kind.dimension).bind(number);
        query.bind(places).bind(vectors).execute(connection).await.map(|_| ())
    })?)
}
