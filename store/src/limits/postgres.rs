//! On Postgres: a connection of the decider's own, and what it knows by it.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use super::states::Batch;
use super::tables::{Columns, Kept, SELECT_SINCE, SINCE, batch, since};
use super::time::SharedTime;
use crate::StoreError;
use crate::db::PostgresDb;

/// What this process last read or wrote, so that it need not be read where nobody else wrote meanwhile.
pub(super) struct Connected {
    connection: PgConnection,
    known: HashMap<String, Known>,
    /// For so many batches more, others write so often that it is read each time.
    crowded: u32,
    /// When the server was last asked what time it is.
    asked: Option<Instant>,
}

struct Known {
    version: i64,
    state: String,
}

/// Of how many states is kept what was last known.
const KNOWN: usize = 10_000;
/// For how many batches nothing is believed to be as it was, once it was not.
const CROWDED: u32 = 32;
/// After how long a node looks again by how much its clock differs from the server's.
const CLOCKS: Duration = Duration::from_secs(30);
/// How often it asks then: the quickest answer tells best. The first one on a connection has to be prepared.
const LOOKS: usize = 3;
/// For so long a row is kept that holds nothing yet.
const EMPTY_SECONDS: i64 = 60;

impl Connected {
    /// What is lost with the server's power is the last moment; nobody waits for its disk. A process that stands still while it
    /// decides loses its locks, as others wait for them.
    pub(super) async fn to(postgres: &PostgresDb) -> Result<Self, StoreError> {
        let mut connection = PgConnection::connect_with(&postgres.pool.connect_options()).await?;
        let settings = "select set_config('synchronous_commit', 'off', false), set_config('lock_timeout', '1s', false), \
                        set_config('statement_timeout', '2s', false), \
                        set_config('idle_in_transaction_session_timeout', '1s', false), \
                        set_config('application_name', 'colloquy limits', false)";
        sqlx::query(settings).execute(&mut connection).await?;
        Ok(Self { connection, known: HashMap::new(), crowded: 0, asked: None })
    }

    pub(super) async fn decide(
        &mut self,
        keys: &[String],
        time: &SharedTime,
        mut hear: impl FnMut(&mut Batch, Timestamp),
    ) -> Result<(), StoreError> {
        if self.asked.is_none_or(|asked| asked.elapsed() >= CLOCKS) {
            self.compare_clocks(time).await?;
        }
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        self.crowded = self.crowded.saturating_sub(1);
        if self.crowded == 0 && keys.iter().all(|key| self.known.contains_key(key)) {
            if self.decide_by_known(keys, time, &mut hear).await? {
                return Ok(());
            }
            self.crowded = CROWDED;
        }
        self.decide_by_locked(keys, time, &mut hear).await
    }

    async fn compare_clocks(&mut self, time: &SharedTime) -> Result<(), StoreError> {
        let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        let mut looks = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let before = time.own();
            let server: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?;
            looks.push((before, Timestamp::from_micros(server), time.own()));
        }
        time.learn(&looks);
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// Whether all was still as it was known to be; else nothing was kept.
    async fn decide_by_known(
        &mut self,
        keys: &[String],
        time: &SharedTime,
        hear: &mut impl FnMut(&mut Batch, Timestamp),
    ) -> Result<bool, StoreError> {
        let known: Vec<(&String, &Known)> = keys.iter().filter_map(|key| Some((key, self.known.get(key)?))).collect();
        let states = known.iter().map(|(key, known)| ((*key).clone(), known.state.clone())).collect();
        let versions: Vec<i64> = known.iter().map(|(_, known)| known.version).collect();
        let mut batch = batch(keys, states);
        hear(&mut batch, time.now());
        let kept = batch.kept();
        let columns = Columns::of(&kept);
        let query = sqlx::query_scalar("select keep_limits($1, $2, $3, $4, $5)").bind(keys).bind(versions);
        let query = query.bind(&columns.keys).bind(&columns.states).bind(&columns.ends);
        let is_kept: bool = query.fetch_one(&mut self.connection).await?;
        if is_kept {
            self.note(kept);
        } else {
            for key in keys {
                self.known.remove(key);
            }
        }
        Ok(is_kept)
    }

    /// All lock in the order of the keys, so that no two wait for each other. Rows that are missing are made beforehand, by
    /// themselves, as a row that somebody else is about to make would have to be waited for out of order.
    async fn decide_by_locked(
        &mut self,
        keys: &[String],
        time: &SharedTime,
        hear: &mut impl FnMut(&mut Batch, Timestamp),
    ) -> Result<(), StoreError> {
        let lock = "select key, state, version from limits where key = any($1) order by key for update";
        let mut tx = self.connection.begin().await?;
        let mut rows: Vec<(String, String, i64)> = sqlx::query_as(lock).bind(keys).fetch_all(&mut *tx).await?;
        while rows.len() < keys.len() {
            tx.rollback().await?;
            make_rows(&mut self.connection, keys, time.now()).await?;
            tx = self.connection.begin().await?;
            rows = sqlx::query_as(lock).bind(keys).fetch_all(&mut *tx).await?;
        }
        let now = time.now();
        let mut batch = batch(keys, rows.iter().map(|(key, state, _)| (key.clone(), state.clone())).collect());
        if batch.has_empty() {
            batch.since = since(sqlx::query_scalar(SELECT_SINCE).bind(SINCE).fetch_optional(&mut *tx).await?);
        }
        hear(&mut batch, now);
        let kept = batch.kept();
        let columns = Columns::of(&kept);
        let query = sqlx::query("select write_limits($1, $2, $3)").bind(&columns.keys).bind(&columns.states);
        query.bind(&columns.ends).execute(&mut *tx).await?;
        tx.commit().await?;
        // One that is empty may have been lost: that is looked up each time.
        let filled = rows.into_iter().filter(|(_, state, _)| !state.is_empty());
        self.known.extend(filled.map(|(key, state, version)| (key, Known { version, state })));
        self.note(kept);
        Ok(())
    }

    /// What was kept is known from now on, where it was before.
    fn note(&mut self, kept: Kept) {
        for (key, state, _) in kept {
            if let Some(known) = self.known.get_mut(&key) {
                *known = Known { version: known.version + 1, state };
            }
        }
    }
}

async fn make_rows(connection: &mut PgConnection, keys: &[String], now: Timestamp) -> Result<(), StoreError> {
    let sql = "insert into limits (key, state, expires_at, version) \
               select key, state, expires_at, extract(epoch from clock_timestamp()) * 1000000 \
               from (select $2, $3::bigint::text, $4::bigint \
                     union all select key, '', $5 from unnest($1::text[]) as given (key)) as made (key, state, expires_at) \
               on conflict (key) do nothing";
    let soon = now.plus_seconds(EMPTY_SECONDS).as_micros();
    let query = sqlx::query(sql).bind(keys).bind(SINCE).bind(now.as_micros()).bind(i64::MAX).bind(soon);
    query.execute(connection).await?;
    Ok(())
}
