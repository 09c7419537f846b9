//! Appending on SQLite: one immediate transaction for a batch, on the one connection that writes.

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use super::append::{Append, Guard, Outcome};
use crate::bulk::{self, Column};
use crate::db::SqliteFile;
use crate::error::is_conflict;
use crate::{Position, StoreError};

/// Appends on a connection of its own. One on which anything failed is not trusted again: after a COMMIT that failed, `sqlx`
/// and SQLite disagree on whether there is a transaction.
#[derive(Debug)]
pub(super) struct Appender {
    file: SqliteFile,
    connection: Option<SqliteConnection>,
}

impl Appender {
    pub(super) const fn new(file: SqliteFile) -> Self {
        Self { file, connection: None }
    }

    pub(super) async fn commit(&mut self, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.write.acquire().await?.detach(),
        };
        let outcomes = match together(&mut connection, appends).await? {
            Some(outcomes) => outcomes,
            None => each(&mut connection, appends).await?,
        };
        self.connection = Some(connection);
        Ok(outcomes)
    }
}

const BEGIN: &str = "BEGIN IMMEDIATE";

/// `None` where somebody in the batch conflicts: then nothing was written.
async fn together(connection: &mut SqliteConnection, appends: &[Append]) -> Result<Option<Vec<Outcome>>, StoreError> {
    let mut tx = connection.begin_with(BEGIN).await?;
    let outcomes = write(&mut tx, appends).await?;
    if outcomes.is_some() {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(outcomes)
}

/// One transaction, a savepoint for each append: a conflict undoes that append alone.
async fn each(connection: &mut SqliteConnection, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
    let mut tx = connection.begin_with(BEGIN).await?;
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
    Ok(if any_has_grown(tx, appends).await? { None } else { Some(outcomes) })
}

async fn any_has_grown(tx: &mut SqliteConnection, appends: &[Append]) -> Result<bool, StoreError> {
    let next = |guard: &Guard| json!([guard.stream_type, guard.stream_id, guard.sequence + 1]);
    let nexts: Vec<_> = appends.iter().flat_map(|append| &append.guards).map(next).collect();
    if nexts.is_empty() {
        return Ok(false);
    }
    Ok(sqlx::query_scalar(ANY_EXISTS).bind(Value::from(nexts).to_string()).fetch_one(tx).await?)
}

const ANY_EXISTS: &str = "\
    select exists (select 1 from json_each($1) as it cross join events where aggregate_type = it.value ->> 0 \
                   and aggregate_id = it.value ->> 1 and sequence = it.value ->> 2)";

const INSERT: &str = "\
    with added (position, type, id, sequence, name, version, payload, metadata, time) as ({rows}) \
    insert into events select position, type, id, sequence, name, version, payload, metadata, time from added";

fn columns(appends: &[Append], head: i64) -> [Column<'_>; 9] {
    let events: Vec<_> =
        appends.iter().flat_map(|append| append.events.iter().map(move |event| (append, event))).collect();
    [
        Column::Int((head + 1..).zip(&events).map(|(position, _)| position).collect()),
        Column::Text(events.iter().map(|(_, event)| event.stream_type).collect()),
        Column::Text(events.iter().map(|(_, event)| event.stream_id.as_str()).collect()),
        Column::Int(events.iter().map(|(_, event)| event.sequence).collect()),
        Column::Text(events.iter().map(|(_, event)| event.event_type).collect()),
        Column::Text(events.iter().map(|(_, event)| event.event_version).collect()),
        Column::Text(events.iter().map(|(_, event)| event.payload.get()).collect()),
        Column::Text(events.iter().map(|(append, _)| append.metadata.get()).collect()),
        Column::Int(events.iter().map(|(append, _)| append.recorded_at.as_micros()).collect()),
    ]
}
