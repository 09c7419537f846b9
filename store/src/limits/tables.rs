//! Where states are kept.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::postgres::Connected;
use super::states::{Batch, Slot};
use super::time::SharedTime;
use crate::bulk::{self, Column};
use crate::db::{PostgresDb, SqliteFile};
use crate::{Db, StoreError, Tx, in_full, on, on_tx, on_write};

/// The states, and on Postgres a connection of its own to them, which is made again when it breaks.
pub(super) struct Table {
    db: Db,
    connection: Option<Connected>,
}

/// How long Postgres may take for a batch, and to let one in.
const ANSWER: Duration = Duration::from_secs(2);
/// So many expired rows at once, so that nobody waits for it long.
const FORGOTTEN: i64 = 1_000;
/// Not a limit: its state is since when there has been a table.
pub(super) const SINCE: &str = "since";

/// SQLite has them in a file of their own.
pub(super) async fn make(file: &SqliteFile) -> Result<(), StoreError> {
    sqlx::raw_sql(include_str!("../../../migrations/limits/sqlite.sql")).execute(&file.write).await?;
    Ok(())
}

impl Table {
    pub(super) const fn new(db: Db) -> Self {
        Self { db, connection: None }
    }

    /// Reads the states of `keys`, which are in order, so that nobody else decides by them; hears what is decided, maybe more
    /// than once, and keeps what was said last.
    pub(super) async fn decide(
        &mut self,
        keys: &[String],
        time: &SharedTime,
        hear: impl FnMut(&mut Batch, Timestamp),
    ) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(file) => on_sqlite(file, keys, time, hear).await,
            Db::Postgres(postgres) => {
                let deciding = on_postgres(postgres, self.connection.take(), keys, time, hear);
                let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
                self.connection = Some(tokio::time::timeout(ANSWER, deciding).await.unwrap_or_else(silent)?);
                Ok(())
            }
        }
    }
}

/// On the connection that there is, or on a new one, where the server has ended that one and so has kept nothing. Whether a
/// connection that broke otherwise has kept what was said, nobody knows: it is not said twice.
async fn on_postgres(
    postgres: &PostgresDb,
    kept: Option<Connected>,
    keys: &[String],
    time: &SharedTime,
    mut hear: impl FnMut(&mut Batch, Timestamp),
) -> Result<Connected, StoreError> {
    if let Some(mut connected) = kept {
        match connected.decide(keys, time, &mut hear).await {
            Ok(()) => return Ok(connected),
            Err(error) if error.ended_by_server() => {
                tracing::debug!(cause = in_full(&error), "limits are decided on a new connection");
            }
            Err(error) => return Err(error),
        }
    }
    let mut connected = Connected::to(postgres).await?;
    connected.decide(keys, time, &mut hear).await?;
    Ok(connected)
}

async fn on_sqlite(
    file: &SqliteFile,
    keys: &[String],
    time: &SharedTime,
    mut hear: impl FnMut(&mut Batch, Timestamp),
) -> Result<(), StoreError> {
    let mut tx = file.begin().await?;
    let sql = "select key, state from limits where key in (select value from json_each($1))";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).bind(json!(keys)).fetch_all(&mut *tx).await?;
    let now = time.now();
    let mut batch = batch(keys, rows);
    if batch.has_empty() {
        let begin = "insert into limits (key, state, expires_at) values ($1, $2, $3) on conflict (key) do nothing";
        sqlx::query(begin).bind(SINCE).bind(now.as_micros().to_string()).bind(i64::MAX).execute(&mut *tx).await?;
        batch.since = since(sqlx::query_scalar(SELECT_SINCE).bind(SINCE).fetch_optional(&mut *tx).await?);
    }
    hear(&mut batch, now);
    keep_on_sqlite(&mut tx, &batch.kept()).await?;
    tx.commit().await?;
    Ok(())
}

async fn keep_on_sqlite(tx: &mut SqliteConnection, kept: &Kept) -> Result<(), StoreError> {
    let sql = "with given (key, state, expires_at) as ({rows}) \
               insert into limits (key, state, expires_at) select key, state, expires_at from given where true \
               on conflict (key) do update set state = excluded.state, expires_at = excluded.expires_at";
    let Columns { keys, states, ends } = Columns::of(kept);
    Ok(bulk::sqlite(tx, sql, &[Column::Text(keys), Column::Text(states), Column::Int(ends)]).await?)
}

pub(super) const SELECT_SINCE: &str = "select state from limits where key = $1";

/// A table that does not know is younger than anything.
pub(super) fn since(state: Option<String>) -> Timestamp {
    Timestamp::from_micros(state.and_then(|state| state.parse().ok()).unwrap_or(i64::MAX))
}

pub(super) fn batch(keys: &[String], rows: Vec<(String, String)>) -> Batch {
    let mut kept: HashMap<String, String> = rows.into_iter().collect();
    let slot = |key: &String| (key.clone(), Slot::of(kept.remove(key).unwrap_or_default()));
    Batch { slots: keys.iter().map(slot).collect(), ..Batch::default() }
}

/// Keys, states, and when they expire.
pub(super) type Kept = Vec<(String, String, i64)>;

impl Batch {
    /// In the order of the keys.
    pub(super) fn kept(&self) -> Kept {
        let kept = self.slots.iter().filter_map(|(key, slot)| {
            let (state, expires_at) = slot.kept()?;
            Some((key.clone(), state, rounded_up(expires_at)))
        });
        let mut kept: Kept = kept.collect();
        kept.sort_unstable();
        kept
    }
}

/// A row is rewritten in place as long as no index has to know.
fn rounded_up(expires_at: Timestamp) -> i64 {
    const STEP: i64 = 30_000_000;
    expires_at.as_micros().saturating_add(STEP - 1).div_euclid(STEP) * STEP
}

/// The same, by columns.
pub(super) struct Columns<'a> {
    pub(super) keys: Vec<&'a str>,
    pub(super) states: Vec<&'a str>,
    pub(super) ends: Vec<i64>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(kept: &'a Kept) -> Self {
        Self {
            keys: kept.iter().map(|(key, ..)| key.as_str()).collect(),
            states: kept.iter().map(|(_, state, _)| state.as_str()).collect(),
            ends: kept.iter().map(|(.., end)| *end).collect(),
        }
    }
}

pub(super) async fn look(db: &Db, keys: &[String]) -> Result<Batch, StoreError> {
    if keys.is_empty() {
        return Ok(Batch::default());
    }
    let places: Vec<String> = (1..=keys.len()).map(|number| format!("${number}")).collect();
    let sql = format!("select key, state from limits where key in ({})", places.join(", "));
    let rows: Vec<(String, String)> = on!(db, pool => {
        keys.iter().fold(sqlx::query_as(&sql), sqlx::query::QueryAs::bind).fetch_all(pool).await
    })?;
    let mut batch = batch(keys, rows);
    if batch.has_empty() {
        batch.since = since(on!(db, pool => sqlx::query_scalar(SELECT_SINCE).bind(SINCE).fetch_optional(pool).await)?);
    }
    Ok(batch)
}

pub(super) async fn clear(
    db: &Db,
    key: &str,
    identifier: &str,
    address: Option<&str>,
    until: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = match db {
        Db::Sqlite(file) => Tx::Sqlite(file.begin().await?),
        Db::Postgres(postgres) => Tx::Postgres(postgres.begin().await?),
    };
    on_tx!(&mut tx, connection => {
        sqlx::query("delete from limits where key = $1").bind(key).execute(connection).await.map(|_| ())
    })?;
    if let Some(address) = address {
        let sql = "insert into known_addresses (identifier, address, expires_at) values ($1, $2, $3) \
                   on conflict (identifier, address) do update set expires_at = excluded.expires_at";
        let until = until.as_micros();
        on_tx!(&mut tx, connection => {
            sqlx::query(sql).bind(identifier).bind(address).bind(until).execute(connection).await.map(|_| ())
        })?;
    }
    tx.commit().await
}

pub(super) async fn knows(db: &Db, identifier: &str, address: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from known_addresses \
                              where identifier = $1 and address = $2 and expires_at > $3)";
    Ok(on!(db, pool => {
        sqlx::query_scalar(sql).bind(identifier).bind(address).bind(now.as_micros()).fetch_one(pool).await
    })?)
}

pub(super) async fn forget(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    // On Postgres a row that somebody decides on is left alone: nobody waits for this, nor this for anybody.
    let skip = match db {
        Db::Sqlite(_) => "",
        Db::Postgres(_) => "for update skip locked",
    };
    let expired = |key: &str, table: &str| {
        format!(
            "delete from {table} where ({key}) in \
             (select {key} from {table} where expires_at <= $1 order by expires_at limit $2 {skip})"
        )
    };
    for sql in [expired("key", "limits"), expired("identifier, address", "known_addresses")] {
        on_write!(db, pool => {
            sqlx::query(&sql).bind(now.as_micros()).bind(FORGOTTEN).execute(pool).await.map(|_| ())
        })?;
    }
    Ok(())
}
