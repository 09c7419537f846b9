//! Questions out: rows of the audit log by their place in the log, never by time or offset.

use domain::Timestamp;
use domain::ids::UserId;
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::{Activity, Kind, Outcome};

/// Which rows are wanted; what is absent or empty sets no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whom they are about.
    pub user: Option<UserId>,
    pub kinds: Vec<Kind>,
    pub outcome: Option<Outcome>,
    pub ip: Option<String>,
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
    let mut wanted = Wanted::of(filter);
    if let Some(before) = before {
        wanted.and("a.position < ", Value::Int(before.get()));
    }
    wanted.page(db, "desc", limit).await
}

/// The oldest rows after a place and up to another one, oldest first.
pub async fn oldest(db: &Db, filter: &Filter, after: Position, upto: Position, limit: u32) -> Result<Page, StoreError> {
    let mut wanted = Wanted::of(filter);
    wanted.and("a.position > ", Value::Int(after.get()));
    wanted.and("a.position <= ", Value::Int(upto.get()));
    wanted.page(db, "asc", limit).await
}

#[derive(Debug, Clone)]
enum Value {
    Int(i64),
    Text(String),
    Uuid(Uuid),
}

/// The conditions that are asked for, and no others: each way of asking has its own plan.
#[derive(Debug, Default)]
struct Wanted {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Wanted {
    fn of(filter: &Filter) -> Self {
        let mut wanted = Self::default();
        if let Some(user) = filter.user {
            wanted.and("a.user_id = ", Value::Uuid(user.into()));
        }
        // One person's rows are few, and in order: no other index shall be taken for them.
        let text =
            |column: &str| if filter.user.is_some() { format!("(a.{column} || '')") } else { format!("a.{column}") };
        if let Some(outcome) = filter.outcome {
            wanted.and(&format!("{} = ", text("outcome")), Value::Text(outcome.as_str().to_owned()));
        }
        if let Some(ip) = &filter.ip {
            wanted.and(&format!("{} = ", text("ip")), Value::Text(ip.clone()));
        }
        if let Some(since) = filter.since {
            wanted.and("a.at >= ", Value::Int(since.as_micros()));
        }
        if let Some(until) = filter.until {
            wanted.and("a.at < ", Value::Int(until.as_micros()));
        }
        wanted.of_kinds(&text("kind"), &filter.kinds);
        wanted
    }

    fn and(&mut self, condition: &str, value: Value) {
        let placeholder = self.placeholder(value);
        self.conditions.push(format!("{condition}{placeholder}"));
    }

    fn of_kinds(&mut self, column: &str, kinds: &[Kind]) {
        let placeholders: Vec<_> =
            kinds.iter().map(|kind| self.placeholder(Value::Text(kind.as_str().to_owned()))).collect();
        if !placeholders.is_empty() {
            self.conditions.push(format!("{column} in ({})", placeholders.join(", ")));
        }
    }

    fn placeholder(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    async fn page(mut self, db: &Db, direction: &str, limit: u32) -> Result<Page, StoreError> {
        // One more than is shown tells whether there are more.
        let most = self.placeholder(Value::Int(i64::from(limit) + 1));
        let conditions = if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" and ") };
        let sql = format!(
            "select a.position, a.at, a.kind, a.user_id, coalesce(u.username, u.email, u.name) as username, \
             a.token_id, a.actor, a.actor_session, a.actor_key, a.outcome, a.reason, a.ip, a.user_agent, \
             a.request_id, a.node \
             from activity a left join known_users u on u.id = a.user_id \
             where {conditions} order by a.position {direction} limit {most}"
        );
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
