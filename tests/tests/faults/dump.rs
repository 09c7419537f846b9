//! The read model as it lies in its tables: each row as text, so that two of them can be compared byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, PgConnection};

/// Where `history` lies.
pub enum Tables {
    /// In a file of this folder.
    Sqlite(PathBuf),
    /// In a schema of this database.
    Postgres(String),
}

impl Tables {
    /// Every row of every table: the table's name and the row.
    pub async fn dump(&self) -> Vec<String> {
        let rows = match self {
            Self::Sqlite(folder) => dump_sqlite(&folder.join("history.db")).await,
            Self::Postgres(url) => dump_postgres(url).await,
        };
        rows.expect("a read model that can be read")
    }

    /// Names the first row that differs.
    pub fn compare(lived: &[String], rebuilt: &[String]) {
        let differs = lived.iter().zip(rebuilt).find(|(lived, rebuilt)| lived != rebuilt);
        assert_eq!(differs, None, "the read model that lived, and the one that was rebuilt");
        assert_eq!(lived.len(), rebuilt.len(), "rows of the read model that lived, and of the one that was rebuilt");
    }

    /// The file that queries go to by way of a link, or the schema.
    pub fn live(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                let live = fs::read_link(folder.join("history.db")).expect("a link to the live file");
                live.to_string_lossy().into_owned()
            }
            Self::Postgres(_) => "history".to_owned(),
        }
    }

    /// What is there of the read model beside the live one and one other, which may be in somebody's hands.
    pub async fn beside(&self, other: &str) -> Vec<String> {
        let all = match self {
            Self::Sqlite(folder) => files(folder).expect("a folder that can be read"),
            Self::Postgres(url) => schemas(url).await.expect("schemas"),
        };
        let live = self.live();
        // SQLite's own files beside a file begin with its name.
        let is_of = |name: &str, whole: &str| name == whole || name.starts_with(&format!("{whole}-"));
        all.into_iter().filter(|name| !is_of(name, &live) && !is_of(name, other)).collect()
    }
}

async fn dump_postgres(url: &str) -> sqlx::Result<Vec<String>> {
    let mut database = PgConnection::connect(url).await?;
    let sql = "select tablename::text from pg_tables where schemaname = 'history' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await?;
    let mut all = Vec::new();
    for table in tables {
        // The first column is the primary key, and as text it sorts the same rows the same way.
        let sql = format!(r#"select '{table} ' || t::text from history.{table} t order by t::text collate "C""#);
        all.extend(sqlx::query_scalar::<_, String>(&sql).fetch_all(&mut database).await?);
    }
    Ok(all)
}

async fn dump_sqlite(file: &Path) -> sqlx::Result<Vec<String>> {
    let mut database = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    let sql = "select name from sqlite_master where type = 'table' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await?;
    let mut all = Vec::new();
    for table in tables {
        let columns = columns(&mut database, &table).await?.join(" || ',' || ");
        let sql = format!("select '{table} ' || {columns} as line from {table} order by line");
        all.extend(sqlx::query_scalar::<_, String>(&sql).fetch_all(&mut database).await?);
    }
    Ok(all)
}

async fn columns(database: &mut SqliteConnection, table: &str) -> sqlx::Result<Vec<String>> {
    let sql = "select 'quote(' || name || ')' from pragma_table_info($1) order by cid";
    sqlx::query_scalar(sql).bind(table).fetch_all(database).await
}

async fn schemas(url: &str) -> sqlx::Result<Vec<String>> {
    let mut database = PgConnection::connect(url).await?;
    let sql = "select nspname::text from pg_namespace where starts_with(nspname, 'history')";
    sqlx::query_scalar(sql).fetch_all(&mut database).await
}

fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    let stays = |name: &String| name == "history.db" || name == "history.lock";
    Ok(names.into_iter().filter(|name| name.starts_with("history") && !stays(name)).collect())
}
