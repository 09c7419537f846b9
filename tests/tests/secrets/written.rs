//! What was written to disk: every table of every database, row for row, and the files as they are.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, PgPool};
use store::Db;
use tests::Stage;

use crate::search::Haystacks;

/// Every row of every table: events, side tables, read models.
pub async fn tables(stage: &Stage) -> Haystacks {
    let mut all = Haystacks::default();
    let rows = match stage.log.db() {
        Db::Postgres(_) => of_postgres(stage.url().unwrap()).await,
        Db::Sqlite(_) => of_sqlite(stage.folder()).await,
    };
    for (table, rows) in rows.unwrap() {
        all.add(format!("the table {table}"), rows.join("\n"));
    }
    all
}

/// The bytes of every file. What Postgres has in its own is what its tables have.
pub fn files(stage: &Stage) -> Haystacks {
    let mut all = Haystacks::default();
    for path in paths(stage.folder()) {
        all.add(format!("the file {}", path.display()), fs::read(&path).unwrap());
    }
    all
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.is_file()).collect()
}

async fn of_postgres(url: &str) -> sqlx::Result<Vec<(String, Vec<String>)>> {
    let database = PgPool::connect(url).await?;
    let sql = "select schemaname::text, tablename::text from pg_tables \
               where schemaname not in ('pg_catalog', 'information_schema')";
    let names: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&database).await?;
    let mut all = Vec::new();
    for (schema, table) in names {
        let sql = format!("select t::text from {schema}.{table} t");
        all.push((table, sqlx::query_scalar(&sql).fetch_all(&database).await?));
    }
    Ok(all)
}

async fn of_sqlite(folder: &Path) -> sqlx::Result<Vec<(String, Vec<String>)>> {
    let mut all = Vec::new();
    for path in paths(folder).iter().filter(|path| path.extension().is_some_and(|it| it == "db")) {
        let mut database = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
        let sql = "select name from sqlite_master where type = 'table'";
        let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await?;
        for table in names {
            let sql = format!("select {} from {table}", columns(&mut database, &table).await?);
            all.push((table, sqlx::query_scalar(&sql).fetch_all(&mut database).await?));
        }
    }
    Ok(all)
}

/// Texts as they are, bytes as digits.
async fn columns(database: &mut SqliteConnection, table: &str) -> sqlx::Result<String> {
    let sql = "select 'quote(' || name || ')' from pragma_table_info($1)";
    let columns: Vec<String> = sqlx::query_scalar(sql).bind(table).fetch_all(database).await?;
    Ok(columns.join(" || ' ' || "))
}
