//! Questions out: what is nearest to a vector, a page at a time.

use std::cmp::Ordering;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::{postgres, sqlite};
use crate::history::Role;
use crate::search::Among;

/// How far down the nearest are told apart: nobody looks through more.
pub const MOST: u32 = 1_000;

/// What to look for, and among what.
#[derive(Debug, Clone, Copy)]
pub struct Nearest<'a> {
    pub among: &'a Among,
    pub model: &'a str,
    /// Of length 1.
    pub vector: &'a [f32],
    pub limit: u32,
}

/// A message, and how near it is: from 0 for the same direction to 2 for the opposite one.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    pub message: MessageId,
    pub conversation: ConversationId,
    pub role: Role,
    pub created_at: Timestamp,
    pub position: Position,
    pub distance: f64,
}

/// Why nothing can be found.
#[derive(Debug)]
pub enum NearestError {
    /// This Postgres has no pgvector, or had none when the read model was made.
    ExtensionMissing,
    Store(StoreError),
}

impl From<StoreError> for NearestError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for NearestError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The nearest first, and of those that are as near the newest.
pub async fn nearest(db: &Db, query: &Nearest<'_>) -> Result<Vec<Near>, NearestError> {
    match db {
        Db::Postgres(postgres) => postgres::nearest(postgres, query).await,
        Db::Sqlite(file) => Ok(sqlite::nearest(file, query).await?),
    }
}

/// Behind which message a page begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    pub distance: f64,
    pub position: Position,
    /// How many came up to there.
    pub seen: u32,
}

/// A page, and behind what the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub found: Vec<Near>,
    pub next: Option<Cursor>,
}

/// The page behind a cursor, of `query.limit` at most; no page goes beyond [`MOST`].
pub async fn page(db: &Db, query: &Nearest<'_>, after: Option<Cursor>) -> Result<Page, NearestError> {
    let seen = after.map_or(0, |after| after.seen);
    let limit = query.limit.min(MOST.saturating_sub(seen));
    if limit == 0 {
        return Ok(Page { found: Vec::new(), next: None });
    }
    let mut asked = seen + limit + 1;
    loop {
        let all = nearest(db, &Nearest { limit: asked, ..*query }).await?;
        let is_all = all.len() < asked as usize;
        let mut found: Vec<Near> =
            all.into_iter().filter(|near| after.is_none_or(|after| near.is_after(after))).collect();
        let has_more = found.len() > limit as usize;
        // What has come since then stands before the cursor, too, and takes the place of others.
        if has_more || is_all {
            found.truncate(limit as usize);
            let seen = seen + limit;
            let next = found.last().filter(|_| has_more && seen < MOST).map(|last| last.cursor(seen));
            return Ok(Page { found, next });
        }
        asked = asked.saturating_mul(2);
    }
}

impl Near {
    /// The nearest first, and of those that are as near the newest.
    pub(super) fn by_distance(one: &Self, other: &Self) -> Ordering {
        one.distance.total_cmp(&other.distance).then(other.position.cmp(&one.position))
    }

    fn is_after(&self, cursor: Cursor) -> bool {
        self.distance.total_cmp(&cursor.distance).then(cursor.position.cmp(&self.position)).is_gt()
    }

    const fn cursor(&self, seen: u32) -> Cursor {
        Cursor { distance: self.distance, position: self.position, seen }
    }
}

/// Whether an owner has vectors of a model, and none of them has so many numbers.
pub async fn has_others_alone(db: &Db, owner: UserId, model: &str, dimension: usize) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from vectors where owner = $1 and model = $2 and dimension > 0) \
               and not exists (select 1 from vectors where owner = $1 and model = $2 and dimension = $3)";
    let (owner, dimension) = (Uuid::from(owner), i64::try_from(dimension).unwrap_or(i64::MAX));
    Ok(on!(db, pool => sqlx::query_scalar(sql).bind(owner).bind(model).bind(dimension).fetch_one(pool).await)?)
}

/// A row that was found, with its distance.
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) message: Uuid,
    pub(super) conversation: Uuid,
    pub(super) role: String,
    pub(super) created_at: i64,
    pub(super) position: i64,
    pub(super) distance: f64,
}

impl TryFrom<Row> for Near {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let role = row.role.parse().map_err(|_| StoreError::Corrupt("a vector of nobody's words".into()))?;
        Ok(Self {
            message: row.message.into(),
            conversation: row.conversation.into(),
            role,
            created_at: Timestamp::from_micros(row.created_at),
            position: Position::new(row.position),
            distance: row.distance,
        })
    }
}
