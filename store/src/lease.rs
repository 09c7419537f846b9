//! Who leads: of all processes that want to do a thing, one holds its lease, and loses it when it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::db::{PostgresDb, SqliteFile};
use crate::{Db, StoreError};

/// A lease that is held until it is dropped.
#[derive(Debug)]
pub struct Lease(Held);

#[derive(Debug)]
enum Held {
    /// A lock on a file beside the database; the system lets go of it when the process ends.
    File(File),
    /// An advisory lock of a connection of its own; Postgres lets go of it when the connection ends.
    Connection(Box<PgConnection>),
}

/// How long a leader's connection may take to answer before the lease counts as lost.
const ANSWER: Duration = Duration::from_secs(2);

impl Lease {
    /// Takes the lease if nobody holds it.
    pub async fn try_take(db: &Db, name: &str) -> Result<Option<Self>, StoreError> {
        let held = match db {
            Db::Sqlite(file) => lock_file(file, name)?.map(Held::File),
            Db::Postgres(postgres) => {
                lock_connection(postgres, name).await?.map(|connection| Held::Connection(Box::new(connection)))
            }
        };
        Ok(held.map(Self))
    }

    /// Lets go of it now: once this returns, another may take it. Dropped, it is let go of a moment later.
    pub async fn release(self) {
        match self.0 {
            Held::File(lock) => drop(lock),
            Held::Connection(mut connection) => {
                let _ = sqlx::query("select pg_advisory_unlock_all()").execute(&mut *connection).await;
            }
        }
    }

    /// Whether it is still held. What is done under a lease must be safe even when this is out of date.
    pub async fn holds(&mut self) -> bool {
        match &mut self.0 {
            Held::File(_) => true,
            Held::Connection(connection) => {
                tokio::time::timeout(ANSWER, connection.ping()).await.is_ok_and(|answer| answer.is_ok())
            }
        }
    }
}

fn lock_file(file: &SqliteFile, name: &str) -> Result<Option<File>, StoreError> {
    let path = file.path().with_file_name(format!("{name}.lock"));
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn lock_connection(postgres: &PostgresDb, name: &str) -> Result<Option<PgConnection>, StoreError> {
    let mut connection = postgres.pool.acquire().await?;
    let sql = "select pg_try_advisory_lock(hashtextextended($1, 0))";
    let taken: bool =
        sqlx::query_scalar(sql).bind(format!("colloquy lease {name}")).fetch_one(&mut *connection).await?;
    Ok(taken.then(|| connection.detach()))
}
