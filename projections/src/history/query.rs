//! Questions out: pages of messages by their place in the log, never by time or offset.

use domain::Timestamp;
use domain::chat::Usage;
use domain::ids::{ConversationId, MessageId, UserId};
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::{Message, Role};

/// A page of somebody's messages.
#[derive(Debug, Clone, Copy)]
pub struct HistoryQuery {
    pub owner: UserId,
    pub conversation: Option<ConversationId>,
    pub cursor: Cursor,
    pub limit: u32,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The newest messages.
    Newest,
    /// The newest of those before a position.
    Before(Position),
    /// The oldest of those after a position.
    After(Position),
}

/// Messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    pub messages: Vec<Message>,
    /// How many there are in all.
    pub total: u64,
    /// Whether there are older ones than the page's first.
    pub more_before: bool,
}

/// `None` where the conversation that was asked for isn't the owner's.
pub async fn page(db: &Db, query: HistoryQuery) -> Result<Option<HistoryPage>, StoreError> {
    let Some(total) = total(db, query).await? else { return Ok(None) };
    let forward = matches!(query.cursor, Cursor::After(_));
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut rows = rows(db, query).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    if !forward {
        rows.reverse();
    }
    let messages: Vec<Message> = rows.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    let more_before = match (forward, messages.first()) {
        (true, Some(first)) => {
            let older = HistoryQuery { cursor: Cursor::Before(first.position), limit: 0, ..query };
            !self::rows(db, older).await?.is_empty()
        }
        (true, None) => false,
        (false, _) => more,
    };
    Ok(Some(HistoryPage { messages, total: u64::try_from(total).unwrap_or(0), more_before }))
}

async fn total(db: &Db, query: HistoryQuery) -> Result<Option<i64>, StoreError> {
    let owner = Uuid::from(query.owner);
    let Some(conversation) = query.conversation.map(Uuid::from) else {
        let sql = "select messages from owners where id = $1";
        let total: Option<i64> = on!(db, pool => sqlx::query_scalar(sql).bind(owner).fetch_optional(pool).await)?;
        return Ok(Some(total.unwrap_or(0)));
    };
    let sql = "select messages from conversations where id = $1 and owner = $2";
    Ok(on!(db, pool => sqlx::query_scalar(sql).bind(conversation).bind(owner).fetch_optional(pool).await)?)
}

const OLDER: &str = "position < $2 order by position desc";
const NEWER: &str = "position > $2 order by position";

async fn rows(db: &Db, query: HistoryQuery) -> Result<Vec<Row>, StoreError> {
    let (bound, order) = match query.cursor {
        Cursor::Newest => (i64::MAX, OLDER),
        Cursor::Before(position) => (position.get(), OLDER),
        Cursor::After(position) => (position.get(), NEWER),
    };
    let (column, id) = match query.conversation {
        Some(conversation) => ("conversation", Uuid::from(conversation)),
        None => ("owner", Uuid::from(query.owner)),
    };
    // One more than is shown tells whether there are more.
    let limit = i64::from(query.limit) + 1;
    let sql = format!("select {CELLS} from messages where {column} = $1 and {order} limit $3");
    Ok(on!(db, pool => sqlx::query_as(&sql).bind(id).bind(bound).bind(limit).fetch_all(pool).await)?)
}

/// One message of somebody's.
pub async fn message(db: &Db, owner: UserId, id: MessageId) -> Result<Option<Message>, StoreError> {
    let sql = format!("select {CELLS} from messages where id = $1 and owner = $2");
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    let row: Option<Row> = on!(db, pool => sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await)?;
    row.map(Message::try_from).transpose()
}

/// The cells of a message's row.
pub(super) const CELLS: &str = "id, conversation, owner, role, content, model, answers, state, reason, prompt_tokens, \
                                completion_tokens, estimated, created_at, position";

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    conversation: Uuid,
    owner: Uuid,
    role: String,
    content: String,
    model: Option<String>,
    answers: Option<Uuid>,
    state: String,
    reason: Option<String>,
    prompt_tokens: i64,
    completion_tokens: i64,
    estimated: i64,
    created_at: i64,
    position: i64,
}

impl TryFrom<Row> for Message {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let role = match row.role.as_str() {
            "user" => Role::User,
            "bot" => Role::Bot,
            _ => return Err(StoreError::Corrupt("a message of nobody".into())),
        };
        let state = row.state.parse().map_err(|_| StoreError::Corrupt("a message in no known state".into()))?;
        let tokens = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        let usage = Usage {
            prompt_tokens: tokens(row.prompt_tokens),
            completion_tokens: tokens(row.completion_tokens),
            estimated: row.estimated != 0,
            cost_micros: None,
        };
        Ok(Self {
            id: row.id.into(),
            conversation: row.conversation.into(),
            owner: row.owner.into(),
            role,
            content: row.content,
            model: row.model,
            answers: row.answers.map(MessageId::from),
            state,
            reason: row.reason,
            usage,
            created_at: Timestamp::from_micros(row.created_at),
            position: Position::new(row.position),
        })
    }
}

/// A conversation that is about to be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clearing {
    pub conversation: ConversationId,
    pub messages: u64,
}

/// Somebody's conversations, oldest first, and how many messages each has.
pub async fn conversations_of(db: &Db, owner: UserId) -> Result<Vec<Clearing>, StoreError> {
    let sql = "select id, messages from conversations where owner = $1 order by position";
    let rows: Vec<(Uuid, i64)> = on!(db, pool => sqlx::query_as(sql).bind(Uuid::from(owner)).fetch_all(pool).await)?;
    let clearing = |(id, messages): (Uuid, i64)| Clearing {
        conversation: ConversationId::from(id),
        messages: u64::try_from(messages).unwrap_or(0),
    };
    Ok(rows.into_iter().map(clearing).collect())
}
