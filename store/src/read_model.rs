//! Where a read model stands: its tables, its checkpoint beside them, and the copy that a rebuild fills.
//!
//! On Postgres a read model is a schema, on SQLite a file; either can be swapped for another copy by one rename.

mod place;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Db, Lease, Position, StoreError, Tx, on, on_tx};
pub use place::Home;
use place::Place;

/// What a read model is: its name, and its tables.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub name: &'static str,
    pub tables: Tables,
}

/// The SQL that makes a read model's tables.
#[derive(Debug, Clone, Copy)]
pub enum Tables {
    /// One text for both engines.
    Same(&'static str),
    /// For an index that each engine has in its own way.
    Each { sqlite: &'static str, postgres: &'static str },
}

impl Tables {
    #[must_use]
    pub const fn sqlite(self) -> &'static str {
        match self {
            Self::Same(sql) | Self::Each { sqlite: sql, .. } => sql,
        }
    }

    #[must_use]
    pub const fn postgres(self) -> &'static str {
        match self {
            Self::Same(sql) | Self::Each { postgres: sql, .. } => sql,
        }
    }

    const fn on(self, db: &Db) -> &'static str {
        match db {
            Db::Sqlite(_) => self.sqlite(),
            Db::Postgres(_) => self.postgres(),
        }
    }
}

/// A read model, live or a copy that is being filled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadModel {
    spec: Spec,
    home: Home,
    place: Place,
    reached: Arc<watch::Sender<Position>>,
}

/// A transaction on a read model: events go in, and the checkpoint moves, or neither.
#[derive(Debug)]
pub struct Batch {
    pub tx: Tx,
    /// Up to where events are in.
    pub position: Position,
    spec: Spec,
    reached: Arc<watch::Sender<Position>>,
}

/// When a waiting query first looks again at a checkpoint that another process moves; then ever less often.
const LOOK: Duration = Duration::from_millis(5);

impl ReadModel {
    /// Opens the live read model; the first process to come makes it.
    pub async fn open(home: &Home, spec: Spec) -> Result<Self, StoreError> {
        let place = Place::live(home, spec).await?;
        Ok(Self { spec, home: home.clone(), place, reached: Arc::default() })
    }

    /// Refuses tables that another build has made.
    pub async fn check_tables(&self) -> Result<(), StoreError> {
        let sql = format!("select tables from {}_checkpoint", self.spec.name);
        let tables: String = on!(self.db(), pool => sqlx::query_scalar(&sql).fetch_one(pool).await)?;
        if tables == self.spec.tables.on(self.db()) { Ok(()) } else { Err(StoreError::OtherTables(self.spec.name)) }
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Where its queries go.
    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.place.db
    }

    pub async fn close(&self) {
        self.db().close().await;
    }

    /// Up to where the log is in.
    pub async fn position(&self) -> Result<Position, StoreError> {
        let checkpoint = self.checkpoint().await?;
        self.pass(checkpoint);
        Ok(checkpoint.max(*self.reached.borrow()))
    }

    /// Up to where the log is in for certain, where each process finds it.
    pub async fn checkpoint(&self) -> Result<Position, StoreError> {
        let sql = format!("select position from {}_checkpoint", self.spec.name);
        let position = on!(self.db(), pool => sqlx::query_scalar(&sql).fetch_one(pool).await)?;
        Ok(Position::new(position))
    }

    /// Up to `position` nothing is left to take in: who waits here for it may go on, before the checkpoint says so.
    pub fn pass(&self, position: Position) {
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position.max(*reached)) < position);
    }

    /// Waits until the log is in up to `position`; whether it came to that in time.
    pub async fn wait_for(&self, position: Position, patience: Duration) -> Result<bool, StoreError> {
        let deadline = Instant::now() + patience;
        let (mut reached, mut look) = (self.reached.subscribe(), LOOK);
        while *reached.borrow_and_update() < position && self.position().await? < position {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            let next = deadline.min(Instant::now() + look);
            let _ = tokio::time::timeout_at(next, reached.wait_for(|reached| *reached >= position)).await;
            look *= 2;
        }
        Ok(true)
    }

    /// Begins a transaction that no other process can be in at the same time.
    pub async fn begin(&self) -> Result<Batch, StoreError> {
        let mut tx = self.place.begin().await?;
        let sql = format!("select position from {}_checkpoint", self.spec.name);
        let position = on_tx!(&mut tx, connection => sqlx::query_scalar(&sql).fetch_one(connection).await)?;
        let position = Position::new(position);
        Ok(Batch { tx, position, spec: self.spec, reached: self.reached.clone() })
    }

    /// An empty copy beside the live one, for whoever holds the lease; a copy that an earlier rebuild left is dropped.
    pub async fn copy(&self, _lease: &Lease) -> Result<Self, StoreError> {
        let place = Place::copy(&self.home, self.spec).await?;
        Ok(Self { spec: self.spec, home: self.home.clone(), place, reached: Arc::default() })
    }

    /// Drops what a rebuild that died has left, unless one is running.
    pub async fn clean(&self) -> Result<(), StoreError> {
        if let Some(lease) = self.rebuild_lease().await? {
            let cleaned = Place::clean(&self.home, self.spec).await;
            lease.release().await;
            return cleaned;
        }
        Ok(())
    }

    /// Whoever holds this may fill a copy and swap it in.
    pub async fn rebuild_lease(&self) -> Result<Option<Lease>, StoreError> {
        Lease::try_take(&self.home.log, &format!("rebuild-{}", self.spec.name)).await
    }

    /// Puts the copy in the place of the live one; a batch of the live one, `held`, keeps it from moving meanwhile.
    ///
    /// The copy must have the log up to `reached`, and the lease must still be held: who has lost it may have lost the copy
    /// to another rebuild, too.
    pub async fn swap(&self, copy: Self, reached: Position, held: Batch, lease: &mut Lease) -> Result<(), StoreError> {
        if !lease.holds().await || copy.position().await? != reached {
            return Err(StoreError::Contended);
        }
        copy.place.swap(&self.home, self.spec, held.tx).await
    }
}

impl Batch {
    /// Commits what was written, with the log in up to `position`.
    pub async fn commit(mut self, position: Position) -> Result<(), StoreError> {
        let sql = format!("update {}_checkpoint set position = $1", self.spec.name);
        on_tx!(&mut self.tx, connection => sqlx::query(&sql).bind(position.get()).execute(connection).await.map(|_| ()))?;
        self.tx.commit().await?;
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position.max(*reached)) < position);
        Ok(())
    }
}
