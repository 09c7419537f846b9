//! Rows in, each with a slot; blocks that have become full.

use domain::ids::MessageId;
use sqlx::FromRow;
use store::bulk::{self, Column};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::slots::{self, Kind, Slots, Taken};
use super::{clear, save};
use crate::embeddings::apply::Row;
use crate::embeddings::blocks::{Block, SLOTS, blocked};
use crate::embeddings::vector::{from_bytes, to_bytes};
use crate::embeddings::{MODEL, Place};

pub(in crate::embeddings) async fn write(tx: &mut Tx, rows: &[Row<'_>]) -> Result<(), StoreError> {
    for row in rows {
        // The built-in model never gives a message another vector.
        if row.model != MODEL {
            leave(tx, row).await?;
        }
    }
    let Slots { of_rows, taken } = slots::take(tx, rows).await?;
    add(tx, rows, of_rows).await?;
    for (kind, Taken { before, now }) in taken {
        for number in blocked(before) / SLOTS..blocked(now) / SLOTS {
            fill(tx, kind, number).await?;
        }
    }
    Ok(())
}

/// A message that gets another vector of the same model leaves the slot of the one before.
async fn leave(tx: &mut Tx, row: &Row<'_>) -> Result<(), StoreError> {
    let sql = "select dimension, slot from vectors where message = $1 and model = $2 and slot is not null";
    let message = Uuid::from(row.place.message);
    let left: Option<(i64, i64)> = on_tx!(tx, connection => {
        sqlx::query_as(sql).bind(message).bind(row.model).fetch_optional(connection).await
    })?;
    let Some((dimension, slot)) = left else { return Ok(()) };
    clear(tx, Kind { dimension, ..Kind::of(row) }, slot / SLOTS, &[slot]).await
}

async fn add(tx: &mut Tx, rows: &[Row<'_>], slots: Vec<Option<i64>>) -> Result<(), StoreError> {
    let vectors: Vec<Option<Vec<u8>>> = rows.iter().map(|row| row.vector.as_deref().map(to_bytes)).collect();
    let uuid = |of: fn(&Row<'_>) -> Uuid| Column::Uuid(rows.iter().map(of).collect());
    let columns = [
        uuid(|row| row.place.message.into()),
        Column::Text(rows.iter().map(|row| row.model).collect()),
        uuid(|row| row.place.conversation.into()),
        uuid(|row| row.place.owner.into()),
        Column::Text(rows.iter().map(|row| row.place.role.as_str()).collect()),
        Column::Int(rows.iter().map(|row| row.place.created_at).collect()),
        Column::Int(rows.iter().map(|row| row.place.position).collect()),
        Column::Int(rows.iter().map(Row::dimension).collect()),
        Column::OptionalBytes(vectors.iter().map(Option::as_deref).collect()),
        Column::OptionalInt(slots),
    ];
    bulk::execute(tx, ADD, &columns).await
}

const ADD: &str = "\
    with given (message, model, conversation, owner, role, created_at, position, dimension, vector, slot) as ({rows}) \
    insert into vectors (message, model, conversation, owner, role, created_at, position, dimension, vector, slot) \
    select message, model, conversation, owner, role, created_at, position, dimension, vector, slot from given where true \
    on conflict (message, model) do update set \
        dimension = excluded.dimension, vector = excluded.vector, slot = excluded.slot";

#[derive(FromRow)]
struct Kept {
    message: Uuid,
    conversation: Uuid,
    role: String,
    created_at: i64,
    position: i64,
    vector: Vec<u8>,
    slot: i64,
}

/// Makes a block of the vectors that stand in its slots by now.
async fn fill(tx: &mut Tx, kind: Kind<'_>, number: i64) -> Result<(), StoreError> {
    let sql = "select message, conversation, role, created_at, position, vector, slot from vectors \
               where owner = $1 and model = $2 and dimension = $3 and slot >= $4 and slot < $5";
    let (owner, first) = (Uuid::from(kind.owner), number * SLOTS);
    let kept: Vec<Kept> = on_tx!(tx, connection => {
        let query = sqlx::query_as(sql).bind(owner).bind(kind.model).bind(kind.dimension);
        query.bind(first).bind(first + SLOTS).fetch_all(connection).await
    })?;
    let mut block = Block::empty(usize::try_from(kind.dimension).unwrap_or(0));
    for row in kept {
        let role = row.role.parse().map_err(|_| StoreError::Corrupt("a vector of nobody's words".into()))?;
        let (message, conversation) = (MessageId::from(row.message), row.conversation.into());
        let (created_at, position) = (row.created_at, row.position);
        let place = Place { message, conversation, owner: kind.owner, role, created_at, position };
        block.put(row.slot, &place, &from_bytes(&row.vector));
    }
    save(tx, kind, number, block).await
}
