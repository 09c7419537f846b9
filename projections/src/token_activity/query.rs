//! Questions out: rows of the audit log by their place in the log, never by time or offset.

use domain::Timestamp;
use domain::ids::UserId;
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::span::Span;
use super::statement::{Statement, Value};
use super::{Activity, Kind, Outcome};

/// Which rows are wanted; what is absent or empty sets no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whom they are about.
    pub user: Option<UserId>,
    pub kinds: Vec<Kind>,
    pub outcome: Option<Outcome>,
    pub ip: Option<String>,
    /// Who asks, where they may not learn from where others acted: `ip` then finds no row that another one did.
    pub reader: Option<UserId>,
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
}

/// Rows, and whether there are more beyond the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Activity>,
    pub more: bool,
}

/// The newest rows before a place, newest first.
pub async fn newest(db: &Db, filter: &Filter, before: Option<Position>, limit: u32) -> Result<Page, StoreError> {
    let span = Span { after: None, upto: before.map(|before| before.get().saturating_sub(1)) };
    Statement::of(filter, span.within(db, filter).await?).page(db, "desc", limit).await
}

/// The oldest rows after a place and up to another one, oldest first.
pub async fn oldest(db: &Db, filter: &Filter, after: Position, upto: Position, limit: u32) -> Result<Page, StoreError> {
    let span = Span { after: Some(after.get()), upto: Some(upto.get()) };
    Statement::of(filter, span.within(db, filter).await?).page(db, "asc", limit).await
}

impl Statement {
    async fn page(mut self, db: &Db, direction: &str, limit: u32) -> Result<Page, StoreError> {
        // One more than is shown tells whether there are more.
        let sql = self.text(direction, i64::from(limit) + 1);
        let rows: Vec<Row> = on!(db, pool => {
            let query = self.values.into_iter().fold(sqlx::query_as(&sql), |query, value| match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Uuid(value) => query.bind(value),
            });
            query.fetch_all(pool).await
        })?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let rows = rows.into_iter().take(limit).map(Activity::try_from).collect::<Result<_, _>>()?;
        Ok(Page { rows, more })
    }
}

#[derive(FromRow)]
struct Row {
    position: i64,
    at: i64,
    kind: String,
    user_id: Option<Uuid>,
    username: Option<String>,
    token_id: Option<Uuid>,
    actor: Option<Uuid>,
    actor_session: Option<Uuid>,
    actor_key: Option<Uuid>,
    outcome: String,
    reason: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: String,
    node: Option<String>,
}

impl TryFrom<Row> for Activity {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let unknown = |_| StoreError::Corrupt("an audit row of an unknown kind".into());
        Ok(Self {
            position: Position::new(row.position),
            at: Timestamp::from_micros(row.at),
            kind: row.kind.parse().map_err(unknown)?,
            user: row.user_id.map(UserId::from),
            username: row.username,
            token: row.token_id,
            actor: row.actor.map(UserId::from),
            actor_session: row.actor_session.map(Into::into),
            actor_key: row.actor_key.map(Into::into),
            outcome: row.outcome.parse().map_err(unknown)?,
            reason: row.reason,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            node: row.node,
        })
    }
}
