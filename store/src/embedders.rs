//! Beside the log: how far it is embedded by a provider's model.

use crate::{Db, Position, StoreError, on, on_write};

/// How far a model has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// What was said up to here has its vector, where it can have one.
    pub position: Position,
    /// How many numbers each vector has; `None` until there is one.
    pub dimension: Option<u32>,
}

pub async fn progress(db: &Db, model: &str) -> Result<Progress, StoreError> {
    let sql = "select position, dimension from embedders where model = $1";
    let row: Option<(i64, Option<i64>)> = on!(db, pool => sqlx::query_as(sql).bind(model).fetch_optional(pool).await)?;
    Ok(row.map_or_else(Progress::default, |(position, dimension)| Progress {
        position: Position::new(position),
        dimension: dimension.and_then(|it| u32::try_from(it).ok()),
    }))
}

pub async fn note(db: &Db, model: &str, progress: Progress) -> Result<(), StoreError> {
    let sql = "insert into embedders (model, position, dimension) values ($1, $2, $3) \
               on conflict (model) do update set position = excluded.position, dimension = excluded.dimension";
    let (position, dimension) = (progress.position.get(), progress.dimension.map(i64::from));
    on_write!(db, pool => {
        sqlx::query(sql).bind(model).bind(position).bind(dimension).execute(pool).await.map(|_| ())
    })?;
    Ok(())
}
