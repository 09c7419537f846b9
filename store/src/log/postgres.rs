//! Appending on Postgres: one function call for a batch, so one round trip and one flush.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection, Postgres, Row};

use super::append::{Append, Guard, NewEvent, Outcome};
use crate::db::PostgresDb;
use crate::error::{is_conflict, is_passing};
use crate::ring::Ring;
use crate::{Position, StoreError};

const TOGETHER: &str = "select append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const EACH: &str = "select append_events_each($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// How long the server may take for a batch, and how long to let one in. A server that has vanished never answers.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);

/// Appends on a connection of its own, which is made again when it breaks.
#[derive(Debug)]
pub(super) struct Appender {
    db: PostgresDb,
    connection: Option<PgConnection>,
}

impl Appender {
    pub(super) const fn new(db: PostgresDb) -> Self {
        Self { db, connection: None }
    }

    pub(super) async fn commit(&mut self, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        let arguments = Arguments::of(appends);
        let mut connection = self.connect().await?;
        let unknown = match in_time(together(&mut connection, &arguments)).await {
            Ok(head) => {
                self.connection = Some(connection);
                return Ok(heads(appends, head));
            }
            Err(error) if is_conflict(&error) => false,
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, "appending again, as the outcome is unknown");
                connection = self.connect().await?;
                true
            }
            Err(error) => return Err(error.into()),
        };
        let mut outcomes = in_time(each(&mut connection, &arguments)).await?;
        if unknown {
            // The connection broke after the batch was committed, or before: then what stands there conflicts with itself.
            for (append, outcome) in appends.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
                *outcome = in_time(look(&mut connection, append)).await?;
            }
        }
        self.connection = Some(connection);
        Ok(outcomes)
    }

    /// The connection that is there, or a new one. It is put back when all has gone well.
    async fn connect(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connection = tokio::time::timeout(CONNECT, connect(&self.db)).await;
        Ok(connection.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }
}

/// Whatever the server's default: what is acknowledged here is on its disk.
async fn connect(db: &PostgresDb) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&db.pool.connect_options()).await?;
    let durable = "select set_config('synchronous_commit', 'on', false) \
                   where current_setting('synchronous_commit') = 'off'";
    sqlx::query(durable).execute(&mut connection).await?;
    Ok(connection)
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(silent()))
}

async fn together(connection: &mut PgConnection, arguments: &Arguments<'_>) -> Result<i64, sqlx::Error> {
    arguments.bind(sqlx::query(TOGETHER)).fetch_one(connection).await?.try_get(0)
}

async fn each(connection: &mut PgConnection, arguments: &Arguments<'_>) -> Result<Vec<Outcome>, sqlx::Error> {
    let query = arguments.bind(sqlx::query(EACH)).bind(&arguments.event_ends).bind(&arguments.guard_ends);
    let heads: Vec<Option<i64>> = query.fetch_one(connection).await?.try_get(0)?;
    Ok(heads.into_iter().map(|head| head.map(Position::new)).collect())
}

/// Whether an append that conflicts stands in the log already, as it was, from an attempt whose answer was lost.
async fn look(connection: &mut PgConnection, append: &Append) -> Result<Outcome, sqlx::Error> {
    let Some(first) = append.events.first() else { return Ok(None) };
    let sql = "select position from events where aggregate_type = $1 and aggregate_id = $2 and sequence = $3 \
               and recorded_at = $4 and payload::text = $5 and metadata::text = $6";
    let position: Option<i64> = sqlx::query_scalar(sql)
        .bind(first.stream_type)
        .bind(&first.stream_id)
        .bind(first.sequence)
        .bind(append.recorded_at.as_micros())
        .bind(first.payload.get())
        .bind(append.metadata.get())
        .fetch_optional(connection)
        .await?;
    Ok(position.map(|position| Position::new(position - 1)))
}

fn heads(appends: &[Append], head: i64) -> Vec<Outcome> {
    let mut next = head;
    let before = |append: &Append| {
        let before = next;
        next += i64::try_from(append.events.len()).unwrap_or(i64::MAX);
        Some(Position::new(before))
    };
    appends.iter().map(before).collect()
}

/// The function's arguments: a batch, column by column.
#[derive(Default)]
struct Arguments<'a> {
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    names: Vec<&'a str>,
    versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadatas: Vec<&'a str>,
    times: Vec<i64>,
    guard_types: Vec<&'a str>,
    guard_ids: Vec<&'a str>,
    guard_sequences: Vec<i64>,
    event_ends: Vec<i32>,
    guard_ends: Vec<i32>,
}

impl<'a> Arguments<'a> {
    fn of(appends: &'a [Append]) -> Self {
        let mut all = Self::default();
        for append in appends {
            append.events.iter().for_each(|event| all.add_event(append, event));
            append.guards.iter().for_each(|guard| all.add_guard(guard));
            all.event_ends.push(i32::try_from(all.ids.len()).unwrap_or(i32::MAX));
            all.guard_ends.push(i32::try_from(all.guard_ids.len()).unwrap_or(i32::MAX));
        }
        all
    }

    fn add_event(&mut self, append: &'a Append, event: &'a NewEvent) {
        self.types.push(event.stream_type);
        self.ids.push(&event.stream_id);
        self.sequences.push(event.sequence);
        self.names.push(event.event_type);
        self.versions.push(event.event_version);
        self.payloads.push(event.payload.get());
        self.metadatas.push(append.metadata.get());
        self.times.push(append.recorded_at.as_micros());
    }

    fn add_guard(&mut self, guard: &'a Guard) {
        self.guard_types.push(guard.stream_type);
        self.guard_ids.push(&guard.stream_id);
        self.guard_sequences.push(guard.sequence);
    }

    fn bind<'q>(&'q self, query: BatchQuery<'q>) -> BatchQuery<'q> {
        query
            .bind(&self.types)
            .bind(&self.ids)
            .bind(&self.sequences)
            .bind(&self.names)
            .bind(&self.versions)
            .bind(&self.payloads)
            .bind(&self.metadatas)
            .bind(&self.times)
            .bind(&self.guard_types)
            .bind(&self.guard_ids)
            .bind(&self.guard_sequences)
    }
}

type BatchQuery<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

const CHANNEL: &str = "colloquy_events";

/// Raises the ring's head at each notice.
pub(super) async fn listen(db: &PostgresDb, ring: &Ring) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(&db.pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(notice) = listener.try_recv().await? {
        if let Ok(head) = notice.payload().parse() {
            ring.raise(Position::new(head));
        }
    }
    Ok(())
}

/// Tells the other processes how far the log has grown.
pub(super) async fn notify(db: &PostgresDb, head: Position) -> Result<(), StoreError> {
    // A notice is a commit; nobody needs it on the disk, and no append should wait while it goes there.
    let sql = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
    sqlx::query(sql).bind(CHANNEL).bind(head.to_string()).execute(&db.pool).await?;
    Ok(())
}
