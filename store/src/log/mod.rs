//! The event log: events are appended at its end, and read by position.

mod append;
mod postgres;
mod sqlite;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use domain::Decide;
use sqlx::FromRow;
use tokio::sync::watch;

pub use append::{Append, AppendError, Guard, NewEvent};

use crate::log::writer::Writer;
use crate::ring::Ring;
use crate::{Db, Position, Recorded, StoreError, on};

/// The log of one database. Cheap to clone; all clones share one writer.
#[derive(Debug, Clone)]
pub struct Log {
    db: Db,
    ring: Arc<Ring>,
    writer: Writer,
}

impl Log {
    /// Opens the log and starts the task that appends to it; see [`Log::close`].
    #[must_use]
    pub fn open(db: Db) -> Self {
        let ring = Arc::new(Ring::default());
        let writer = Writer::start(db.clone(), ring.clone());
        Self { db, ring, writer }
    }

    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// Appends all of it or nothing, and answers with the position of its last event when that can't be lost any more.
    pub async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.writer.append(append).await
    }

    /// Up to `limit` events after `cursor`, in order and without a gap.
    pub async fn read(&self, cursor: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        match self.ring.after(cursor, limit) {
            Some(events) if !events.is_empty() => Ok(events),
            Some(_) | None => self.read_database(cursor, limit).await,
        }
    }

    /// The events since a moment that end access tokens; few among many, so they have an index of their own.
    pub async fn endings(&self, since: domain::Timestamp) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let rows: Vec<Row> = on!(&self.db, pool => {
            sqlx::query_as(ENDINGS).bind(since.as_micros()).fetch_all(pool).await
        })?;
        rows.into_iter().map(Row::into_recorded).collect()
    }

    /// The position of the last event.
    pub async fn head(&self) -> Result<Position, StoreError> {
        let sql = "select position from events order by position desc limit 1";
        let head: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(sql).fetch_optional(pool).await)?;
        let head = head.map_or(Position::START, Position::new);
        self.ring.raise(head);
        Ok(head)
    }

    /// Where a stream began; `None` where it has not.
    pub async fn began<A: Decide>(&self, id: A::Id) -> Result<Option<Position>, StoreError> {
        let sql = "select position from events where aggregate_type = $1 and aggregate_id = $2 and sequence = 1";
        let id = id.to_string();
        let position: Option<i64> = on!(&self.db, pool => {
            sqlx::query_scalar(sql).bind(A::TYPE).bind(&id).fetch_optional(pool).await
        })?;
        Ok(position.map(Position::new))
    }

    /// What a stream has got since it began, in order.
    pub async fn since_began<A: Decide>(&self, id: A::Id) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let id = id.to_string();
        let rows: Vec<Row> = on!(&self.db, pool => {
            sqlx::query_as(SINCE_BEGAN).bind(A::TYPE).bind(&id).fetch_all(pool).await
        })?;
        rows.into_iter().map(Row::into_recorded).collect()
    }

    /// The newest position that this process knows of; changes wake a reader.
    #[must_use]
    pub fn grows(&self) -> watch::Receiver<Position> {
        self.ring.head()
    }

    /// Tells this process of appends by others, as far as the engine can: Postgres notifies. Ends when the connection does.
    pub async fn listen(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(_) => std::future::pending().await,
            Db::Postgres(postgres) => postgres::listen(postgres, &self.ring).await,
        }
    }

    /// Appends what waits, and refuses whatever comes after.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Ends when nothing can be appended any more, whatever the reason.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.writer.has_ended()
    }

    async fn read_database(&self, cursor: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on!(&self.db, pool => {
            sqlx::query_as(READ).bind(cursor.get()).bind(limit).fetch_all(pool).await
        })?;
        let events = rows.into_iter().map(Row::into_recorded).collect::<Result<Vec<_>, _>>()?;
        let whole = events.iter().zip(cursor.next().get()..).all(|(event, position)| event.position.get() == position);
        if whole { Ok(events) } else { Err(StoreError::Corrupt(format!("a gap in the log after {cursor}").into())) }
    }
}

/// How long a reader waits for a wake-up before it looks for itself.
pub const POLL: Duration = Duration::from_millis(250);

const READ: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
           cast(payload as text) as payload, cast(metadata as text) as metadata, recorded_at \
    from events where position > $1 order by position limit $2";

const ENDINGS: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
           cast(payload as text) as payload, cast(metadata as text) as metadata, recorded_at \
    from events where recorded_at >= $1 and event_type in ('TokenRevoked', 'SignInsEnded', 'ApiKeyRevoked')";

const SINCE_BEGAN: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
           cast(payload as text) as payload, cast(metadata as text) as metadata, recorded_at \
    from events where aggregate_type = $1 and aggregate_id = $2 and sequence > 1 order by sequence";

#[derive(FromRow)]
struct Row {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
    recorded_at: i64,
}

impl Row {
    fn into_recorded(self) -> Result<Arc<Recorded>, StoreError> {
        let json = |text| serde_json::value::RawValue::from_string(text);
        let unreadable = |_| StoreError::Corrupt(format!("the event at {} is not JSON", self.position).into());
        Ok(Arc::new(Recorded {
            position: Position::new(self.position),
            recorded_at: domain::Timestamp::from_micros(self.recorded_at),
            stream_type: self.aggregate_type,
            stream_id: self.aggregate_id,
            sequence: self.sequence,
            event_type: self.event_type,
            event_version: self.event_version,
            payload: json(self.payload).map_err(unreadable)?,
            metadata: json(self.metadata).map_err(unreadable)?,
        }))
    }
}
