//! Beside the log: the states of limits. Whatever waits is decided on in one transaction, so that all nodes decide as one.
//!
//! `keys + a rule ─▶ decider ─▶ states, locked ─▶ the rule, on each in turn ─▶ states, kept ─▶ what it said`

mod decider;
mod postgres;
mod states;
mod tables;
mod time;

use domain::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::db::{Durability, SqliteFile};
use crate::{Db, StoreError};
use decider::{Ask, Ruled};
pub use states::{State, States};
use time::SharedTime;

/// The limits of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    db: Db,
    time: SharedTime,
    queue: mpsc::Sender<Ask>,
}

/// How many may wait to be decided on.
const QUEUE: usize = 4_096;

impl Limits {
    /// The limits beside a log: on SQLite in a file of their own, so that no append waits for them. A power cut may take what
    /// was counted in its last moment.
    pub async fn open(log: &Db, clock: Clock) -> Result<Self, StoreError> {
        let db = match log {
            Db::Sqlite(file) => {
                let file = SqliteFile::open(&file.path().with_file_name("limits.db"), Durability::Rebuildable)?;
                tables::make(&file).await?;
                Db::Sqlite(file)
            }
            Db::Postgres(postgres) => Db::Postgres(postgres.clone()),
        };
        let ((queue, waiting), time) = (mpsc::channel(QUEUE), SharedTime::new(clock));
        tokio::spawn(decider::run(db.clone(), time.clone(), waiting));
        let limits = Self { db, time, queue };
        if let Db::Postgres(_) = log {
            // What time it is for all, a node knows when it has decided something.
            let looking = limits.clone();
            tokio::spawn(async move { looking.decide(Vec::new(), |_| ()).await });
        }
        Ok(limits)
    }

    /// Where they are kept.
    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// As all nodes have it, once this one has decided something: on Postgres the server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Decides by some limits' states, of which nobody else decides meanwhile. What the rule keeps is kept, and nothing else
    /// changes. It may be asked again, where another node was faster: what it says last counts. `keys` are distinct.
    pub async fn decide<T: Send + 'static>(
        &self,
        keys: Vec<String>,
        rule: impl Fn(&mut States<'_>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (asker, answered) = oneshot::channel();
        let case = Box::new(Ruled::new(rule, asker));
        self.queue.send(Ask { keys, case }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Tells by some limits' states as anybody may read them, waiting for nobody; a moment later they may be others. Nothing is
    /// kept.
    pub async fn look<T>(&self, keys: &[String], rule: impl FnOnce(&mut States<'_>) -> T) -> Result<T, StoreError> {
        let mut batch = tables::look(&self.db, keys).await?;
        Ok(rule(&mut States { keys, batch: &mut batch, now: self.now() }))
    }

    /// A limit starts anew, and an address counts as known for a while.
    pub async fn clear(
        &self,
        key: &str,
        identifier: &str,
        address: Option<&str>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        tables::clear(&self.db, key, identifier, address, until).await
    }

    /// Whether somebody has signed in from this address lately.
    pub async fn knows(&self, identifier: &str, address: &str, now: Timestamp) -> Result<bool, StoreError> {
        tables::knows(&self.db, identifier, address, now).await
    }

    /// Forgets what has expired.
    pub async fn forget(&self, now: Timestamp) -> Result<(), StoreError> {
        tables::forget(&self.db, now).await
    }
}
