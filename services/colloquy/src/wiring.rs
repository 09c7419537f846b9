//! How the parts are put together, whatever the subcommand.

use std::error::Error;
use std::time::Duration;

use api::{Files, Place};
use nats::Bus;
use projections::{ReadModels, SEARCH_PATH};
use store::read_model::Home;
use store::{Db, Durability, Log, PostgresDb, SqliteFile, StoreError, in_full};
use tokio::time::Instant;

use crate::config::{Config, Database, Role, Storage};
use crate::folder;

/// Why a subcommand ended, for whoever called it.
pub type Failure = Box<dyn Error + Send + Sync>;

const RETRY: Duration = Duration::from_millis(500);

/// Opens the log's database, waits for it, and brings it up to date.
pub async fn open_database(storage: &Storage) -> Result<Db, Failure> {
    let db = match &storage.database {
        Database::Sqlite => {
            folder::make(&storage.folder).map_err(|error| format!("COLLOQUY_DATA can't be used: {error}"))?;
            Db::Sqlite(SqliteFile::open(&storage.folder.join("log.db"), Durability::Full)?)
        }
        Database::Postgres { url } => {
            Db::Postgres(PostgresDb::open(url, SEARCH_PATH).map_err(|_| "DATABASE_URL is not a valid address")?)
        }
    };
    let deadline = Instant::now() + storage.start_timeout;
    loop {
        match store::migrate(&db).await {
            Ok(()) => return Ok(db),
            Err(error) if error.is_passing() && Instant::now() + RETRY < deadline => {
                tracing::warn!("waiting for the database: {}", in_full(&error));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Connects to NATS, or has all of it in this process.
pub async fn open_bus(storage: &Storage, nats: Option<&str>) -> Result<Bus, Failure> {
    match nats {
        Some(url) => Ok(Bus::connect(url, storage.start_timeout).await?),
        None => Bus::in_process(&storage.folder.join("replies"))
            .map_err(|error| format!("COLLOQUY_DATA can't be used: {error}").into()),
    }
}

/// Where attachments are kept, for a process that serves them.
pub fn open_files(config: &Config) -> Result<Files, Failure> {
    if !config.roles.include(Role::Api) {
        return Ok(Files::nowhere());
    }
    let unusable = |error: &dyn Error| format!("COLLOQUY_FILES can't be used: {}", in_full(error));
    if let Place::Folder(folder) = &config.files.place {
        folder::make(folder).map_err(|error| unusable(&error))?;
    }
    if config.files.is_divided {
        tracing::warn!(
            "COLLOQUY_FILES is not set: this node keeps attachments in a folder of its own, where other nodes don't find them"
        );
    }
    Ok(Files::open(config.files.place.clone(), config.files.limit).map_err(|error| unusable(&error))?)
}

/// The live read models; the first process to come makes them.
pub async fn open_read_models(log: &Log) -> Result<ReadModels, StoreError> {
    ReadModels::open(&Home::beside(log.db().clone())).await
}
