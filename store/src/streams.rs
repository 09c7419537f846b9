//! Reading one stream: the state of an aggregate is its events, applied in order.

use cqrs_es::EventEnvelope;
use cqrs_es::persist::{PersistedEventRepository, PersistenceError, SerializedEvent};
use domain::Decide;
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;

use crate::{Db, StoreError, on};

/// A state, and how many events made it.
#[derive(Debug, Clone, Default)]
pub struct Versioned<A> {
    pub state: A,
    pub version: i64,
}

/// Loads a stream's state; a stream without events is the default.
pub async fn load<A: Decide>(db: &Db, id: &str) -> Result<Versioned<A>, StoreError> {
    let events = read::<A>(db, id).await.map_err(passing)?;
    let mut loaded = Versioned::<A>::default();
    for event in events {
        let envelope = EventEnvelope::<A>::try_from(event).map_err(unreadable)?;
        loaded.version = i64::try_from(envelope.sequence).unwrap_or(i64::MAX);
        loaded.state.apply(envelope.payload);
    }
    Ok(loaded)
}

/// Brings a state up to date with what its stream has got since.
pub async fn catch_up<A: Decide>(db: &Db, id: &str, known: &Versioned<A>) -> Result<Versioned<A>, StoreError> {
    let sql = "select cast(payload as text) from events \
               where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence";
    let payloads: Vec<String> = on!(db, pool => {
        sqlx::query_scalar(sql).bind(A::TYPE).bind(id).bind(known.version).fetch_all(pool).await
    })?;
    let mut caught_up = known.clone();
    for payload in payloads {
        let event = serde_json::from_str(&payload)
            .map_err(|error| StoreError::Corrupt(format!("a stream can't be read: {error}").into()))?;
        caught_up.version += 1;
        caught_up.state.apply(event);
    }
    Ok(caught_up)
}

async fn read<A: Decide>(db: &Db, id: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
    match db {
        Db::Sqlite(file) => SqliteEventRepository::new(file.read.clone()).get_events::<A>(id).await,
        Db::Postgres(postgres) => PostgresEventRepository::new(postgres.pool.clone()).get_events::<A>(id).await,
    }
}

/// What the repositories say of a failed read; they wrap `sqlx`'s errors in boxes of their own.
fn passing(error: PersistenceError) -> StoreError {
    match error {
        PersistenceError::ConnectionError(cause) | PersistenceError::UnknownError(cause) => {
            match cause.downcast::<sqlx::Error>() {
                Ok(error) => StoreError::from(*error),
                Err(other) => StoreError::Corrupt(other.to_string().into()),
            }
        }
        other @ (PersistenceError::OptimisticLockError | PersistenceError::DeserializationError(_)) => {
            unreadable(other)
        }
    }
}

fn unreadable(error: PersistenceError) -> StoreError {
    StoreError::Corrupt(format!("a stream can't be read: {error}").into())
}
