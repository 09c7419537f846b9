//! Looking through all of somebody's vectors: roughly in the blocks, exactly among what was best there.
//!
//! Numbers are compared on threads that may take their time, a search on one at most; and searches are no more at once than
//! the file has readers.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Timestamp;
use domain::ids::ConversationId;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection};
use store::{Position, SqliteFile, StoreError};
use uuid::Uuid;

use super::slots::TAKEN;
use crate::embeddings::blocks::{Scan, Wanted, blocked, letter};
use crate::embeddings::query::{Near, Nearest};
use crate::embeddings::vector::{distance, from_bytes};

/// How many more than are wanted are compared exactly: what was rounded may stand some places too low.
const MARGIN: usize = 200;
/// How many blocks are read while as many are looked through.
const BLOCKS: i64 = 16;

pub(in crate::embeddings) async fn nearest(file: &SqliteFile, query: &Nearest<'_>) -> Result<Vec<Near>, StoreError> {
    let mut connection = file.read.acquire().await?;
    // The blocks are read where the system keeps the file, not copied page by page: four times as fast.
    sqlx::query("pragma mmap_size = 1073741824").execute(&mut *connection).await?;
    // All is read as it stood at one moment.
    let mut tx = sqlx::Connection::begin(&mut *connection).await?;
    let favourites = favourites(&mut tx, query).await?;
    let taken = taken(&mut tx, query).await?;
    let wanted = Arc::new(Wanted { among: query.among.clone(), favourites });
    let best = scan(&mut tx, query, &wanted, taken).await?;
    let rows = rows(&mut tx, query, &best, taken).await?;
    tx.commit().await?;
    let (vector, limit) = (query.vector.to_vec(), query.limit as usize);
    aside(move || exactly(rows, &vector, &wanted, limit)).await?
}

/// Does what takes long where nobody waits for the thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closed),
        },
    }
}

/// The owner's favourites, where they matter.
async fn favourites(
    connection: &mut SqliteConnection,
    query: &Nearest<'_>,
) -> Result<HashSet<ConversationId>, StoreError> {
    if query.among.favourite.is_none() {
        return Ok(HashSet::new());
    }
    let sql = "select conversation from vector_favourites where owner = $1";
    let ids: Vec<Uuid> = sqlx::query_scalar(sql).bind(Uuid::from(query.among.owner)).fetch_all(connection).await?;
    Ok(ids.into_iter().map(ConversationId::from).collect())
}

fn dimension(query: &Nearest<'_>) -> i64 {
    i64::try_from(query.vector.len()).unwrap_or(0)
}

/// How many slots were taken.
async fn taken(connection: &mut SqliteConnection, query: &Nearest<'_>) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar(TAKEN).bind(Uuid::from(query.among.owner)).bind(query.model).bind(dimension(query));
    Ok(query.fetch_optional(connection).await?.unwrap_or(0))
}

/// The slots of those that are nearest as far as blocks tell.
async fn scan(
    connection: &mut SqliteConnection,
    query: &Nearest<'_>,
    wanted: &Arc<Wanted>,
    taken: i64,
) -> Result<Vec<i64>, StoreError> {
    let mut scan = Scan::new(query.vector, wanted.clone(), query.limit as usize + MARGIN);
    let mut blocks = if blocked(taken) == 0 { Vec::new() } else { read(connection, query, wanted, -1).await? };
    while let Some(last) = blocks.last() {
        let last = last.try_get("number")?;
        let looking = aside(move || look(scan, &blocks));
        let (looked, next) = tokio::join!(looking, read(connection, query, wanted, last));
        (scan, blocks) = (looked??, next?);
    }
    Ok(scan.slots())
}

/// The next blocks behind one.
async fn read(
    connection: &mut SqliteConnection,
    query: &Nearest<'_>,
    wanted: &Wanted,
    behind: i64,
) -> Result<Vec<SqliteRow>, StoreError> {
    let places = if wanted.is_everything() { "null" } else { "places" };
    let sql = format!(
        "select number, vectors, {places} as places from vector_blocks \
         where owner = $1 and model = $2 and dimension = $3 and number > $4 order by number limit {BLOCKS}"
    );
    let asked = sqlx::query(&sql).bind(Uuid::from(query.among.owner)).bind(query.model).bind(dimension(query));
    Ok(asked.bind(behind).fetch_all(connection).await?)
}

fn look(mut scan: Scan, blocks: &[SqliteRow]) -> Result<Scan, StoreError> {
    for block in blocks {
        scan.look(block.try_get("number")?, block.try_get("vectors")?, block.try_get("places")?);
    }
    Ok(scan)
}

#[derive(FromRow)]
struct Row {
    message: Uuid,
    conversation: Uuid,
    role: String,
    created_at: i64,
    position: i64,
    vector: Vec<u8>,
}

/// Those that a scan has found, and those that are in no block yet.
async fn rows(
    connection: &mut SqliteConnection,
    query: &Nearest<'_>,
    best: &[i64],
    taken: i64,
) -> Result<Vec<Row>, StoreError> {
    let cells = "select message, conversation, role, created_at, position, vector from vectors \
                 where owner = $1 and model = $2 and dimension = $3";
    // A list is written as JSON has it.
    let best = format!("{best:?}");
    let sql = format!("{cells} and slot in (select value from json_each($4)) union all {cells} and slot >= $5");
    let asked = sqlx::query_as(&sql).bind(Uuid::from(query.among.owner)).bind(query.model).bind(dimension(query));
    Ok(asked.bind(best).bind(blocked(taken)).fetch_all(connection).await?)
}

/// The nearest of them, by their whole vectors.
fn exactly(rows: Vec<Row>, vector: &[f32], wanted: &Wanted, limit: usize) -> Result<Vec<Near>, StoreError> {
    let mut found = rows.into_iter().map(|row| row.near(vector)).collect::<Result<Vec<_>, _>>()?;
    found.retain(|near| wanted.is(near.conversation, letter(near.role), near.created_at.as_micros()));
    found.sort_unstable_by(Near::by_distance);
    found.truncate(limit);
    Ok(found)
}

impl Row {
    fn near(self, vector: &[f32]) -> Result<Near, StoreError> {
        let role = self.role.parse().map_err(|_| StoreError::Corrupt("a vector of nobody's words".into()))?;
        Ok(Near {
            message: self.message.into(),
            conversation: self.conversation.into(),
            role,
            created_at: Timestamp::from_micros(self.created_at),
            position: Position::new(self.position),
            distance: distance(vector, &from_bytes(&self.vector)),
        })
    }
}
