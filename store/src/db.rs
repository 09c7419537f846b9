//! Which engine runs. Everywhere else there is one SQL text for both; where that can't be, there is one commented `match`.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Postgres, Sqlite, Transaction};

use crate::StoreError;
use crate::link::Link;

/// Runs one expression on whichever pool is inside; `$pool` is a pool that may only read.
#[macro_export]
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::Db::Sqlite(file) => {
                let $pool = &file.read;
                $body
            }
            $crate::Db::Postgres(postgres) => {
                let $pool = &postgres.pool;
                $body
            }
        }
    };
}

/// Runs one expression on whichever pool is inside; `$pool` is a pool that may write, one statement at a time.
#[macro_export]
macro_rules! on_write {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::Db::Sqlite(file) => {
                let $pool = &file.write;
                $body
            }
            $crate::Db::Postgres(postgres) => {
                let $pool = &postgres.pool;
                $body
            }
        }
    };
}

/// Runs one expression on whichever connection a transaction has.
#[macro_export]
macro_rules! on_tx {
    ($tx:expr, $connection:ident => $body:expr) => {
        match $tx {
            $crate::Tx::Sqlite(tx) => {
                let $connection = &mut **tx;
                $body
            }
            $crate::Tx::Postgres(tx) => {
                let $connection = &mut **tx;
                $body
            }
        }
    };
}

/// A database of either engine.
#[derive(Debug, Clone)]
pub enum Db {
    Sqlite(SqliteFile),
    Postgres(PostgresDb),
}

/// An SQLite file: one connection that writes, several that read.
#[derive(Debug, Clone)]
pub struct SqliteFile {
    pub write: SqlitePool,
    pub read: SqlitePool,
    pub(crate) link: Arc<Link>,
}

/// A Postgres database, seen through a search path: the log's schema, then those of the read models.
#[derive(Clone)]
pub struct PostgresDb {
    pub pool: PgPool,
    options: Arc<PgConnectOptions>,
}

impl std::fmt::Debug for PostgresDb {
    /// The options hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresDb").finish_non_exhaustive()
    }
}

/// A transaction that may write.
#[derive(Debug)]
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// How long a request waits for a connection before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long SQLite waits for another writer.
const BUSY: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;
/// How many rows SQLite's thread finds before it waits until they are taken: a page, so that it need not be woken.
const ROWS: usize = 1_024;
const POSTGRES_CONNECTIONS: u32 = 16;

/// What survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Whatever was acknowledged.
    Full,
    /// A whole database that may be a moment old: enough for what can be built again.
    Rebuildable,
}

impl SqliteFile {
    /// Opens the file behind `path`, which may be a symbolic link that is turned to another file meanwhile.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        make_private(path)?;
        let link = Arc::new(Link::new(path.to_owned()));
        // The pages that SQLite's journal takes before they go into the file, while a commit waits: few for the log, which
        // writes a page once or twice; many for a read model, which writes the same pages again and again.
        let (synchronous, journal) = match durability {
            Durability::Full => (SqliteSynchronous::Full, "1000"),
            Durability::Rebuildable => (SqliteSynchronous::Normal, "4000"),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY)
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", journal)
            .row_buffer_size(ROWS)
            .statement_cache_capacity(64);
        let write = pool(&link, 1).connect_lazy_with(options.clone());
        let read = pool(&link, SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self { write, read, link })
    }

    /// A transaction that no other writer can overtake.
    ///
    /// After a COMMIT that failed, `sqlx` believes that its transaction is still open where SQLite has ended it: a
    /// connection that can't begin is replaced, once.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.write.begin_with(BEGIN).await {
            Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed) => {
                let _ = self.write.acquire().await?.close().await;
                Ok(self.write.begin_with(BEGIN).await?)
            }
            begun => Ok(begun?),
        }
    }

    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.link.path
    }
}

/// It may hold password hashes: a file that is made here is for its owner alone.
fn make_private(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    Ok(())
}

fn pool(link: &Arc<Link>, connections: u32) -> SqlitePoolOptions {
    let link = link.clone();
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(move |_, connection| {
            let current = link.is_current(connection.age);
            Box::pin(async move { Ok(current) })
        })
}

impl PostgresDb {
    pub fn open(url: &str, search_path: &str) -> Result<Self, StoreError> {
        Ok(Self::with(PgConnectOptions::from_str(url)?.application_name("colloquy"), search_path))
    }

    /// The same database, seen through another search path by a few connections of its own.
    #[must_use]
    pub(crate) fn beside(&self, search_path: &str) -> Self {
        Self::with((*self.options).clone(), search_path)
    }

    fn with(options: PgConnectOptions, search_path: &str) -> Self {
        let seen = options.clone().options([
            ("search_path", search_path),
            ("jit", "off"),
            // Every statement here goes by keys. A plan that was made while a table was small is kept when it is large.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            // A node that was cut off loses its locks in seconds, not in hours.
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(seen);
        Self { pool, options: Arc::new(options) }
    }

    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }
}

impl Db {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(self, pool => sqlx::query("select 1").execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// How many connections its pools have open, and how many of these nobody uses now.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        match self {
            Self::Sqlite(file) => (file.write.size() + file.read.size(), file.write.num_idle() + file.read.num_idle()),
            Self::Postgres(postgres) => (postgres.pool.size(), postgres.pool.num_idle()),
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite(file) => file.close().await,
            Self::Postgres(postgres) => postgres.pool.close().await,
        }
    }
}
