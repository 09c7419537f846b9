//! Makes a database into the log's, or brings an older one up to date; many nodes may start at once.

use sqlx::migrate::Migrator;

use crate::{Db, StoreError};

static POSTGRES: Migrator = sqlx::migrate!("../migrations/log/postgres");
static SQLITE: Migrator = sqlx::migrate!("../migrations/log/sqlite");

/// Applies the log's migrations that are missing; a database of a newer build is refused.
pub async fn migrate(db: &Db) -> Result<(), StoreError> {
    match db {
        // The migrator holds an advisory lock, so that one node migrates and the others find it done.
        Db::Postgres(postgres) => {
            let encoding: String = sqlx::query_scalar("show server_encoding").fetch_one(&postgres.pool).await?;
            if encoding != "UTF8" {
                return Err(StoreError::Encoding);
            }
            POSTGRES.run(&postgres.pool).await?;
        }
        // SQLite has no such lock: who comes second fails on what the first has just made, and finds it done.
        Db::Sqlite(file) => {
            if SQLITE.run(&file.write).await.is_err() {
                SQLITE.run(&file.write).await?;
            }
        }
    }
    Ok(())
}
