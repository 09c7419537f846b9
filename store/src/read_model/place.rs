//! The schema or the file that a read model lives in, and how one takes another's place.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use super::Spec;
use crate::db::{Durability, PostgresDb, SqliteFile};
use crate::{Db, StoreError, Tx, fresh_id};

/// Where the read models of a log live: beside it.
#[derive(Debug, Clone)]
pub struct Home {
    pub(crate) log: Db,
}

impl Home {
    #[must_use]
    pub const fn beside(log: Db) -> Self {
        Self { log }
    }
}

/// One copy of a read model.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) db: Db,
    /// The schema on Postgres; the writers of one schema wait for each other.
    schema: String,
    /// A copy's file on SQLite.
    file: Option<PathBuf>,
    is_copy: bool,
}

impl Place {
    pub(super) async fn live(home: &Home, spec: Spec) -> Result<Self, StoreError> {
        match &home.log {
            Db::Postgres(postgres) => {
                make_schema(postgres, spec, spec.name).await?;
                Ok(Self { db: home.log.clone(), schema: spec.name.to_owned(), file: None, is_copy: false })
            }
            Db::Sqlite(log) => {
                let link = link(log, spec);
                make_live_file(&link, spec).await?;
                let db = Db::Sqlite(SqliteFile::open(&link, Durability::Rebuildable)?);
                Ok(Self { db, schema: spec.name.to_owned(), file: None, is_copy: false })
            }
        }
    }

    pub(super) async fn copy(home: &Home, spec: Spec) -> Result<Self, StoreError> {
        let schema = format!("{}_next", spec.name);
        match &home.log {
            Db::Postgres(postgres) => {
                Self::clean(home, spec).await?;
                make_schema(postgres, spec, &schema).await?;
                Ok(Self { db: Db::Postgres(postgres.beside(&schema)), schema, file: None, is_copy: true })
            }
            Db::Sqlite(log) => {
                remove_files(&link(log, spec), Keep::LiveAndPrevious)?;
                let file = new_file(&link(log, spec));
                make_file(&file, spec).await?;
                let db = Db::Sqlite(SqliteFile::open(&file, Durability::Rebuildable)?);
                Ok(Self { db, schema, file: Some(file), is_copy: true })
            }
        }
    }

    /// Drops every copy but the live one. For a process that has just started, as nobody may be reading the others.
    pub(super) async fn clean(home: &Home, spec: Spec) -> Result<(), StoreError> {
        match &home.log {
            Db::Postgres(postgres) => {
                for left in ["next", "old"] {
                    let drop = format!("drop schema if exists {}_{left} cascade", spec.name);
                    sqlx::query(&drop).execute(&postgres.pool).await?;
                }
            }
            Db::Sqlite(log) => remove_files(&link(log, spec), Keep::Live)?,
        }
        Ok(())
    }

    /// A writing transaction on the copy that is there once nobody else is writing.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        match &self.db {
            Db::Postgres(postgres) => {
                let mut tx = postgres.begin().await?;
                let lock = "select pg_advisory_xact_lock(hashtextextended('colloquy read model ' || $1, 0))";
                sqlx::query(lock).bind(&self.schema).execute(&mut *tx).await?;
                if self.is_copy {
                    // Nobody reads a copy before the swap, whose commit flushes all. The live one must not go back in a
                    // crash: what was seen in it, and the position that this process remembers, would be seen no more.
                    sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
                }
                Ok(Tx::Postgres(tx))
            }
            Db::Sqlite(file) => loop {
                let asked = std::time::Instant::now();
                let tx = file.begin().await?;
                // A swap may have come while this waited: then it has the file that was.
                if file.link.since().is_none_or(|since| since < asked) {
                    return Ok(Tx::Sqlite(tx));
                }
            },
        }
    }

    /// Takes the place of the live copy, which `held` has locked.
    pub(super) async fn swap(self, home: &Home, spec: Spec, held: Tx) -> Result<(), StoreError> {
        self.db.close().await;
        match (&home.log, held, self.file) {
            // The file that was live stays for those who are reading it; the next start or rebuild removes it.
            (Db::Sqlite(log), held, Some(file)) => {
                turn(&link(log, spec), &file)?;
                drop(held);
                remove_files(&link(log, spec), Keep::LiveAndPrevious)
            }
            (Db::Postgres(_), Tx::Postgres(mut tx), _) => {
                let name = spec.name;
                tx.execute(format!("alter schema {name} rename to {name}_old").as_str()).await?;
                tx.execute(format!("alter schema {name}_next rename to {name}").as_str()).await?;
                tx.commit().await?;
                Self::clean(home, spec).await
            }
            (Db::Sqlite(_) | Db::Postgres(_), _, _) => Err(StoreError::Corrupt("two engines at once".into())),
        }
    }
}

/// Makes a schema with the read model's tables, if it is not there.
async fn make_schema(postgres: &PostgresDb, spec: Spec, schema: &str) -> Result<(), StoreError> {
    let mut tx = postgres.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('colloquy read models', 0))").execute(&mut *tx).await?;
    let sql = "select exists (select from information_schema.schemata where schema_name = $1)";
    let exists: bool = sqlx::query_scalar(sql).bind(schema).fetch_one(&mut *tx).await?;
    if !exists {
        let connection: &mut PgConnection = &mut tx;
        connection.execute(format!("create schema {schema}; set local search_path = {schema}").as_str()).await?;
        let tables = spec.tables.postgres();
        connection.execute(tables).await?;
        connection.execute(checkpoint_table(spec).as_str()).await?;
        let insert = format!("insert into {}_checkpoint values (0, $1)", spec.name);
        sqlx::query(&insert).bind(tables).execute(connection).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn checkpoint_table(spec: Spec) -> String {
    format!("create table {}_checkpoint (position bigint not null, tables text not null)", spec.name)
}

/// The path by which a read model is found: a link to the file of today.
fn link(log: &SqliteFile, spec: Spec) -> PathBuf {
    log.path().with_file_name(format!("{}.db", spec.name))
}

fn new_file(link: &Path) -> PathBuf {
    let stem = link.file_stem().unwrap_or_default().to_string_lossy();
    link.with_file_name(format!("{stem}-{}.db", fresh_id::<Uuid>().simple()))
}

/// Makes the first file and the link to it, unless another process has.
async fn make_live_file(link: &Path, spec: Spec) -> Result<(), StoreError> {
    let lock = File::create(link.with_file_name(format!("make-{}.lock", spec.name)))?;
    lock.lock()?;
    if !link.exists() {
        let file = new_file(link);
        make_file(&file, spec).await?;
        turn(link, &file)?;
    }
    Ok(())
}

async fn make_file(file: &Path, spec: Spec) -> Result<(), StoreError> {
    let db = SqliteFile::open(file, Durability::Rebuildable)?;
    let tables = spec.tables.sqlite();
    let mut tx = db.begin().await?;
    tx.execute(tables).await?;
    tx.execute(checkpoint_table(spec).as_str()).await?;
    let insert = format!("insert into {}_checkpoint values (0, $1)", spec.name);
    sqlx::query(&insert).bind(tables).execute(&mut *tx).await?;
    tx.commit().await?;
    db.close().await;
    Ok(())
}

/// Points the link to `file`, in one step.
fn turn(link: &Path, file: &Path) -> Result<(), StoreError> {
    let target = file.file_name().unwrap_or_default();
    let beside = link.with_extension("link");
    let _ = std::fs::remove_file(&beside);
    std::os::unix::fs::symlink(target, &beside)?;
    std::fs::rename(&beside, link)?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Live,
    /// The file that was live before, too: a reader may have it open, or be about to.
    LiveAndPrevious,
}

/// Removes a read model's files but those that are kept. Names sort by the time at which the files were made.
fn remove_files(link: &Path, keep: Keep) -> Result<(), StoreError> {
    let (Some(folder), Some(stem)) = (link.parent(), link.file_stem()) else { return Ok(()) };
    let stem = stem.to_string_lossy();
    let is_copy = |name: &String| name.strip_prefix(&*stem).is_some_and(|rest| rest.starts_with('-'));
    let names = std::fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let copies: Vec<String> = names.filter(is_copy).collect();
    let live = std::fs::read_link(link)?.to_string_lossy().into_owned();
    let is_database = |name: &&String| Path::new(name).extension().is_some_and(|extension| extension == "db");
    let older = copies.iter().filter(is_database).filter(|name| **name < live);
    let previous = older.max().filter(|_| keep == Keep::LiveAndPrevious);
    // `x.db` keeps `x.db-wal` and `x.db-shm` as well.
    let is_kept =
        |name: &String| name.starts_with(&live) || previous.is_some_and(|previous| name.starts_with(previous));
    for name in copies.iter().filter(|name| !is_kept(name)) {
        // Whoever closes a file last removes its journal: it may be gone already.
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
