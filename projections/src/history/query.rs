//! Questions out: pages of messages by their place in the log, never by time or offset.

use std::collections::{BTreeSet, HashMap};

use domain::Timestamp;
use domain::chat::Usage;
use domain::ids::{ConversationId, MessageId, UserId};
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::Message;

/// A page of somebody's messages.
#[derive(Debug, Clone, Copy)]
pub struct HistoryQuery {
    pub owner: UserId,
    pub scope: Scope,
    pub cursor: Cursor,
    /// How many are left out at the page's near end.
    pub skip: u32,
    pub limit: u32,
}

/// Among which messages a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that the owner has.
    All,
    /// All branches of a conversation.
    Conversation(ConversationId),
    /// The branch of a conversation that was chosen.
    Branch(ConversationId),
}

impl Scope {
    const fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::All => None,
            Self::Conversation(id) | Self::Branch(id) => Some(id),
        }
    }
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
    /// Whether there are newer ones than the page's last; said of pages after a position alone.
    pub more_after: bool,
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
            let older = HistoryQuery { cursor: Cursor::Before(first.position), skip: 0, limit: 0, ..query };
            !self::rows(db, older).await?.is_empty()
        }
        (true, None) => false,
        (false, _) => more,
    };
    let total = u64::try_from(total).unwrap_or(0);
    Ok(Some(HistoryPage { messages, total, more_before, more_after: forward && more }))
}

/// The same messages, and not a word about how many others there are, or whether the conversation is the owner's.
pub async fn stretch(db: &Db, query: HistoryQuery) -> Result<Vec<Message>, StoreError> {
    let mut rows = rows(db, query).await?;
    rows.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    rows.into_iter().map(Message::try_from).collect()
}

async fn total(db: &Db, query: HistoryQuery) -> Result<Option<i64>, StoreError> {
    let owner = Uuid::from(query.owner);
    let Some(conversation) = query.scope.conversation().map(Uuid::from) else {
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
    let (among, id) = match query.scope {
        Scope::All => ("owner = $1", Uuid::from(query.owner)),
        Scope::Conversation(conversation) => ("conversation = $1", Uuid::from(conversation)),
        Scope::Branch(conversation) => ("conversation = $1 and shown = 1", Uuid::from(conversation)),
    };
    // One more than is shown tells whether there are more.
    let (limit, skip) = (i64::from(query.limit) + 1, i64::from(query.skip));
    let sql = format!("select {CELLS} from messages where {among} and {order} limit $3 offset $4");
    Ok(on!(db, pool => sqlx::query_as(&sql).bind(id).bind(bound).bind(limit).bind(skip).fetch_all(pool).await)?)
}

/// For messages of one conversation: which follow the same one as each of them does, itself among them, oldest first.
pub async fn siblings(db: &Db, page: &[Message]) -> Result<HashMap<MessageId, Vec<MessageId>>, StoreError> {
    let Some(conversation) = page.first().map(|message| message.conversation) else { return Ok(HashMap::new()) };
    let parents: BTreeSet<Uuid> = page.iter().filter_map(|message| message.parent.map(Uuid::from)).collect();
    let holes: Vec<_> = (2..parents.len() + 2).map(|number| format!("${number}")).collect();
    let begins = if page.iter().any(|message| message.parent.is_none()) {
        "conversation = $1"
    } else {
        "conversation = $1 and 1 = 0"
    };
    let sql = format!(
        "select parent, id, position from messages where parent in ({}) \
         union all select parent, id, position from messages where parent is null and {begins} order by position",
        if holes.is_empty() { "null".to_owned() } else { holes.join(", ") }
    );
    let rows: Vec<(Option<Uuid>, Uuid, i64)> = on!(db, pool => {
        let query = sqlx::query_as(&sql).bind(Uuid::from(conversation));
        parents.into_iter().fold(query, sqlx::query::QueryAs::bind).fetch_all(pool).await
    })?;
    let mut following: HashMap<Option<MessageId>, Vec<MessageId>> = HashMap::new();
    for (parent, id, _) in rows {
        following.entry(parent.map(MessageId::from)).or_default().push(id.into());
    }
    let of = |message: &Message| following.get(&message.parent).cloned().unwrap_or_default();
    Ok(page.iter().map(|message| (message.id, of(message))).collect())
}

/// One message of somebody's.
pub async fn message(db: &Db, owner: UserId, id: MessageId) -> Result<Option<Message>, StoreError> {
    let sql = format!("select {CELLS} from messages where id = $1 and owner = $2");
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    let row: Option<Row> = on!(db, pool => sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await)?;
    row.map(Message::try_from).transpose()
}

/// The cells of a message's row.
pub(super) const CELLS: &str = "id, conversation, owner, role, content, model, parent, shown, answers, state, reason, \
                                prompt_tokens, completion_tokens, estimated, rating, created_at, updated_at, position";

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    conversation: Uuid,
    owner: Uuid,
    role: String,
    content: String,
    model: Option<String>,
    parent: Option<Uuid>,
    shown: i64,
    answers: Option<Uuid>,
    state: String,
    reason: Option<String>,
    prompt_tokens: i64,
    completion_tokens: i64,
    estimated: i64,
    rating: Option<String>,
    created_at: i64,
    updated_at: i64,
    position: i64,
}

impl TryFrom<Row> for Message {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let role = row.role.parse().map_err(|_| StoreError::Corrupt("a message of nobody".into()))?;
        let rating = row.rating.as_deref().map(str::parse).transpose();
        let rating = rating.map_err(|_| StoreError::Corrupt("a message with no known rating".into()))?;
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
            parent: row.parent.map(MessageId::from),
            shown: row.shown != 0,
            answers: row.answers.map(MessageId::from),
            state,
            reason: row.reason,
            usage,
            rating,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
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

/// Somebody's conversations, the one that changed first first, and how many messages each has.
pub async fn conversations_of(db: &Db, owner: UserId) -> Result<Vec<Clearing>, StoreError> {
    let sql = "select id, messages from conversations where owner = $1 order by touched";
    let rows: Vec<(Uuid, i64)> = on!(db, pool => sqlx::query_as(sql).bind(Uuid::from(owner)).fetch_all(pool).await)?;
    let clearing = |(id, messages): (Uuid, i64)| Clearing {
        conversation: ConversationId::from(id),
        messages: u64::try_from(messages).unwrap_or(0),
    };
    Ok(rows.into_iter().map(clearing).collect())
}
