//! Beside the log: tickets that open a socket, once and soon, on any node. What they prove only their maker reads.

use domain::Timestamp;
use domain::values::Digest;

use crate::{Db, StoreError, on_write};

/// So many expired rows at once, so that nobody waits for it long.
const FORGOTTEN: i64 = 1_000;

/// Keeps a ticket until it is taken or expires, and forgets those that have expired.
pub async fn keep(
    db: &Db,
    ticket: Digest,
    proof: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into tickets (digest, proof, expires_at) values ($1, $2, $3)";
    let (digest, end) = (ticket.as_bytes().as_slice(), expires_at.as_micros());
    on_write!(db, pool => {
        sqlx::query(sql).bind(digest).bind(proof).bind(end).execute(pool).await.map(|_| ())
    })?;
    forget(db, now).await
}

/// What a ticket proves, if it is good now. Whoever takes it first has it; nobody has it again.
pub async fn take(db: &Db, ticket: Digest, now: Timestamp) -> Result<Option<String>, StoreError> {
    let sql = "delete from tickets where digest = $1 returning proof, expires_at";
    let digest = ticket.as_bytes().as_slice();
    let row: Option<(String, i64)> = on_write!(db, pool => {
        sqlx::query_as(sql).bind(digest).fetch_optional(pool).await
    })?;
    Ok(row.filter(|(_, end)| now.as_micros() < *end).map(|(proof, _)| proof))
}

async fn forget(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    // On Postgres a row that another node forgets is left to it: no two wait for each other.
    let skip = match db {
        Db::Sqlite(_) => "",
        Db::Postgres(_) => "for update skip locked",
    };
    let sql = format!(
        "delete from tickets where digest in \
         (select digest from tickets where expires_at <= $1 order by expires_at limit $2 {skip})"
    );
    on_write!(db, pool => {
        sqlx::query(&sql).bind(now.as_micros()).bind(FORGOTTEN).execute(pool).await.map(|_| ())
    })?;
    Ok(())
}
