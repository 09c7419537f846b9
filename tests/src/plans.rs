//! Statements as Postgres was really asked them, for those who want to see its plan.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use store::{Db, PostgresDb};

/// A connection that was asked something in which these words are, and the name that the statement has there.
pub async fn asked(db: &Db, words: &str) -> Option<(PoolConnection<Postgres>, String)> {
    let Db::Postgres(PostgresDb { pool, .. }) = db else { panic!("only Postgres has plans") };
    let sql = "select name from pg_prepared_statements where strpos(statement, $1) > 0";
    let mut all = Vec::new();
    // One that was just given back may not be there yet, and another be made in its place: all that there can be.
    for _ in 0..pool.options().get_max_connections() {
        all.push(pool.acquire().await.expect("the database is up"));
    }
    for mut connection in all {
        let name = sqlx::query_scalar(sql).bind(words).fetch_optional(&mut *connection).await;
        if let Some(name) = name.expect("the database is up") {
            return Some((connection, name));
        }
    }
    None
}
