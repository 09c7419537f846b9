//! Slots: a vector's number among all that its owner ever had of a model and a dimension. Each is used once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::ids::UserId;
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use crate::embeddings::apply::Row;

/// Vectors that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind<'a> {
    pub(super) owner: UserId,
    pub(super) model: &'a str,
    pub(super) dimension: i64,
}

impl<'a> Kind<'a> {
    pub(super) fn of(row: &Row<'a>) -> Self {
        Self { owner: row.place.owner, model: row.model, dimension: row.dimension() }
    }
}

/// How many slots were taken before this batch, and are now.
pub(super) struct Taken {
    pub(super) before: i64,
    pub(super) now: i64,
}

pub(super) struct Slots<'a> {
    /// Each row's own; none where it has no vector.
    pub(super) of_rows: Vec<Option<i64>>,
    pub(super) taken: BTreeMap<Kind<'a>, Taken>,
}

/// Gives each row that has a vector the next slot.
pub(super) async fn take<'a>(tx: &mut Tx, rows: &[Row<'a>]) -> Result<Slots<'a>, StoreError> {
    let mut slots = Slots { of_rows: Vec::with_capacity(rows.len()), taken: BTreeMap::new() };
    for row in rows {
        let slot = if row.vector.is_some() { Some(next(tx, &mut slots.taken, Kind::of(row)).await?) } else { None };
        slots.of_rows.push(slot);
    }
    for (kind, Taken { now, .. }) in &slots.taken {
        count(tx, *kind, *now).await?;
    }
    Ok(slots)
}

async fn next<'a>(tx: &mut Tx, all: &mut BTreeMap<Kind<'a>, Taken>, kind: Kind<'a>) -> Result<i64, StoreError> {
    let taken = match all.entry(kind) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            let before = read(tx, kind).await?;
            unknown.insert(Taken { before, now: before })
        }
    };
    taken.now += 1;
    Ok(taken.now - 1)
}

/// How many slots of an owner, a model and a dimension were taken.
pub(super) const TAKEN: &str = "select taken from vector_slots where owner = $1 and model = $2 and dimension = $3";

async fn read(tx: &mut Tx, kind: Kind<'_>) -> Result<i64, StoreError> {
    let owner = Uuid::from(kind.owner);
    let taken: Option<i64> = on_tx!(tx, connection => {
        sqlx::query_scalar(TAKEN).bind(owner).bind(kind.model).bind(kind.dimension).fetch_optional(connection).await
    })?;
    Ok(taken.unwrap_or(0))
}

async fn count(tx: &mut Tx, kind: Kind<'_>, taken: i64) -> Result<(), StoreError> {
    let sql = "insert into vector_slots (owner, model, dimension, taken) values ($1, $2, $3, $4) \
               on conflict (owner, model, dimension) do update set taken = excluded.taken";
    let owner = Uuid::from(kind.owner);
    Ok(on_tx!(tx, connection => {
        let query = sqlx::query(sql).bind(owner).bind(kind.model).bind(kind.dimension).bind(taken);
        query.execute(connection).await.map(|_| ())
    })?)
}
