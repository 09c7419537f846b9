//! Appending on SQLite: one immediate transaction for a batch, on the one connection that writes.

use sqlx::SqliteConnection;

use super::append::{Append, Guard, Outcome};
use crate::bulk::{self, Column};
use crate::db::SqliteFile;
use crate::error::is_conflict;
use crate::{Position, StoreError};

pub(super) async fn commit(file: &SqliteFile, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
    match together(file, appends).await? {
        Some(outcomes) => Ok(outcomes),
        None => each(file, appends).await,
    }
}

/// `None` where somebody in the batch conflicts: then nothing was written.
async fn together(file: &SqliteFile, appends: &[Append]) -> Result<Option<Vec<Outcome>>, StoreError> {
    let mut tx = file.begin().await?;
    let outcomes = write(&mut tx, appends).await?;
    if outcomes.is_some() {
        tx.commit().await?;
    }
    Ok(outcomes)
}

/// One transaction, a savepoint for each append: a conflict undoes that append alone.
async fn each(file: &SqliteFile, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
    let mut tx = file.begin().await?;
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        sqlx::query("savepoint append").execute(&mut *tx).await?;
        let outcome = write(&mut tx, std::slice::from_ref(append)).await?;
        if outcome.is_none() {
            sqlx::query("rollback to append").execute(&mut *tx).await?;
        }
        sqlx::query("release append").execute(&mut *tx).await?;
        outcomes.push(outcome.and_then(|outcomes| outcomes.first().copied().flatten()));
    }
    tx.commit().await?;
    Ok(outcomes)
}

async fn write(tx: &mut SqliteConnection, appends: &[Append]) -> Result<Option<Vec<Outcome>>, StoreError> {
    let head: Option<i64> = sqlx::query_scalar("select max(position) from events").fetch_one(&mut *tx).await?;
    let mut next = head.unwrap_or(0);
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        outcomes.push(Some(Position::new(next)));
        next += i64::try_from(append.events.len()).unwrap_or(i64::MAX);
    }
    match bulk::sqlite(tx, INSERT, &columns(appends, head.unwrap_or(0))).await {
        Ok(()) => {}
        Err(error) if is_conflict(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Last, so that it sees what others of the same batch append, too.
    for guard in appends.iter().flat_map(|append| &append.guards) {
        if has_grown(tx, guard).await? {
            return Ok(None);
        }
    }
    Ok(Some(outcomes))
}

async fn has_grown(tx: &mut SqliteConnection, guard: &Guard) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from events where aggregate_type = $1 and aggregate_id = $2 and sequence = $3)";
    let query = sqlx::query_scalar(sql).bind(guard.stream_type).bind(&guard.stream_id).bind(guard.sequence + 1);
    Ok(query.fetch_one(tx).await?)
}

const INSERT: &str = "\
    with added (position, type, id, sequence, name, version, payload, metadata, time) as ({rows}) \
    insert into events select position, type, id, sequence, name, version, payload, metadata, time from added";

fn columns(appends: &[Append], head: i64) -> [Column; 9] {
    let events = || appends.iter().flat_map(|append| append.events.iter().map(move |event| (append, event)));
    let text = |of: fn(&(&Append, &super::NewEvent)) -> String| Column::Text(events().map(|it| of(&it)).collect());
    [
        Column::Int((head + 1..).zip(events()).map(|(position, _)| position).collect()),
        text(|(_, event)| event.stream_type.to_owned()),
        text(|(_, event)| event.stream_id.clone()),
        Column::Int(events().map(|(_, event)| event.sequence).collect()),
        text(|(_, event)| event.event_type.to_owned()),
        text(|(_, event)| event.event_version.to_owned()),
        text(|(_, event)| event.payload.get().to_owned()),
        text(|(append, _)| append.metadata.get().to_owned()),
        Column::Int(events().map(|(append, _)| append.recorded_at.as_micros()).collect()),
    ]
}
