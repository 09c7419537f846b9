//! Questions about conversations: one, and somebody's, the one that changed last first.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use sqlx::FromRow;
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

/// A conversation as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub owner: UserId,
    /// What its owner calls it, or else how it begins; `None` for one in which nothing was said yet.
    pub name: Option<String>,
    /// Its owner has called it that.
    pub is_named: bool,
    pub favourite: bool,
    pub archived: bool,
    /// How many events have made its features what they are.
    pub version: i64,
    /// The newest message of the branch that was chosen.
    pub leaf: Option<MessageId>,
    pub messages: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Where it last changed.
    pub touched: Position,
}

/// Which of somebody's conversations, and how many.
#[derive(Debug, Clone)]
pub struct ConversationsQuery {
    pub owner: UserId,
    pub favourite: Option<bool>,
    pub archived: Option<bool>,
    /// A part of what they are called, in whatever case.
    pub text: Option<String>,
    /// Those that last changed before a position.
    pub before: Position,
    pub skip: u32,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub conversations: Vec<Conversation>,
    pub more: bool,
}

const CELLS: &str = "id, owner, coalesce(name, title) as name, name is not null as is_named, favourite, archived, version, leaf, messages, created_at, \
                     updated_at, touched";

/// One conversation of somebody's.
pub async fn conversation(db: &Db, owner: UserId, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
    let sql = format!("select {CELLS} from conversations where id = $1 and owner = $2");
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    let row: Option<Row> = on!(db, pool => sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await)?;
    Ok(row.map(Conversation::from))
}

/// Somebody's conversations, the one that changed last first.
pub async fn conversations(db: &Db, query: &ConversationsQuery) -> Result<Listed, StoreError> {
    let sql = format!(
        "select {CELLS} from conversations where owner = $1 and touched < $2 {} {} \
         and ($3 is null or coalesce(name_key, title_key) like $3 escape '\\') \
         order by touched desc limit $4 offset $5",
        flag("favourite", query.favourite),
        flag("archived", query.archived)
    );
    let (owner, before) = (Uuid::from(query.owner), query.before.get());
    let text = query.text.as_deref().map(containing);
    // One more than is shown tells whether there are more.
    let (limit, skip) = (i64::from(query.limit) + 1, i64::from(query.skip));
    let mut rows: Vec<Row> = on!(db, pool => {
        let rows = sqlx::query_as(&sql).bind(owner).bind(before).bind(text);
        rows.bind(limit).bind(skip).fetch_all(pool).await
    })?;
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    Ok(Listed { conversations: rows.into_iter().map(Conversation::from).collect(), more })
}

/// How many conversations somebody has.
pub async fn conversations_in_all(db: &Db, owner: UserId) -> Result<u64, StoreError> {
    let sql = "select count(*) from conversations where owner = $1";
    let count: i64 = on!(db, pool => sqlx::query_scalar(sql).bind(Uuid::from(owner)).fetch_one(pool).await)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// How much is shown of what was said last.
const GLIMPSE: usize = 1_000;

/// What was said last in each of some conversations, where something was; of long messages the beginning.
pub async fn last_words(db: &Db, of: &[Conversation]) -> Result<HashMap<ConversationId, String>, StoreError> {
    let leaves: Vec<Uuid> = of.iter().filter_map(|it| it.leaf.map(Uuid::from)).collect();
    if leaves.is_empty() {
        return Ok(HashMap::new());
    }
    let holes: Vec<_> = (1..=leaves.len()).map(|number| format!("${number}")).collect();
    let sql =
        format!("select conversation, substr(content, 1, {GLIMPSE}) from messages where id in ({})", holes.join(", "));
    let rows: Vec<(Uuid, String)> = on!(db, pool => {
        leaves.into_iter().fold(sqlx::query_as(&sql), sqlx::query::QueryAs::bind).fetch_all(pool).await
    })?;
    Ok(rows.into_iter().map(|(id, text)| (id.into(), text)).collect())
}

/// A condition that an index is made for: it has to stand there in so many words.
fn flag(column: &str, wanted: Option<bool>) -> String {
    wanted.map(|wanted| format!("and {column} = {}", i64::from(wanted))).unwrap_or_default()
}

/// What matches whatever has this text in it.
fn containing(text: &str) -> String {
    let literal = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    owner: Uuid,
    name: Option<String>,
    is_named: bool,
    favourite: i64,
    archived: i64,
    version: i64,
    leaf: Option<Uuid>,
    messages: i64,
    created_at: i64,
    updated_at: i64,
    touched: i64,
}

impl From<Row> for Conversation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            owner: row.owner.into(),
            name: row.name,
            is_named: row.is_named,
            favourite: row.favourite != 0,
            archived: row.archived != 0,
            version: row.version,
            leaf: row.leaf.map(MessageId::from),
            messages: u64::try_from(row.messages).unwrap_or(0),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            touched: Position::new(row.touched),
        }
    }
}
