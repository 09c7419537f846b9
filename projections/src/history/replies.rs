//! Questions about replies: what is awaited, what a reply is to be made of, what somebody was answered.

use domain::ids::{ConversationId, MessageId, UserId};
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::Message;
use super::query::{CELLS, Row};

/// Replies that are being made, from a position on, oldest first.
pub async fn awaited(db: &Db, after: Position, limit: u32) -> Result<Vec<(MessageId, Position)>, StoreError> {
    let sql = "select id, position from messages where state = 'awaited' and position > $1 order by position limit $2";
    let rows: Vec<(Uuid, i64)> = on!(db, pool => {
        sqlx::query_as(sql).bind(after.get()).bind(i64::from(limit)).fetch_all(pool).await
    })?;
    Ok(rows.into_iter().map(|(id, position)| (id.into(), Position::new(position))).collect())
}

/// Somebody's replies that are being made.
pub async fn awaited_by(db: &Db, owner: UserId) -> Result<Vec<MessageId>, StoreError> {
    let sql = "select id from messages where state = 'awaited' and owner = $1";
    let rows: Vec<Uuid> = on!(db, pool => sqlx::query_scalar(sql).bind(Uuid::from(owner)).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(MessageId::from).collect())
}

/// Replies that are being made in a conversation of somebody's.
pub async fn awaited_in(db: &Db, owner: UserId, conversation: ConversationId) -> Result<Vec<MessageId>, StoreError> {
    let sql = "select id from messages where state = 'awaited' and conversation = $1 and owner = $2";
    let (conversation, owner) = (Uuid::from(conversation), Uuid::from(owner));
    let rows: Vec<Uuid> =
        on!(db, pool => sqlx::query_scalar(sql).bind(conversation).bind(owner).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(MessageId::from).collect())
}

/// The nearest reply that is being made among what a message follows, however far above it.
pub async fn awaited_above(db: &Db, message: &Message) -> Result<Option<MessageId>, StoreError> {
    let all = "select id, position from messages where state = 'awaited' and conversation = $1 and position < $2 \
               order by position desc";
    let (conversation, below) = (Uuid::from(message.conversation), message.position.get());
    let all: Vec<(Uuid, i64)> =
        on!(db, pool => sqlx::query_as(all).bind(conversation).bind(below).fetch_all(pool).await)?;
    // Hardly ever is there one, and to look for it above is a long way in a long conversation.
    let Some((_, oldest)) = all.last() else { return Ok(None) };
    let above = "with recursive up (id, parent, position) as ( \
                     select id, parent, position from messages where id = $1 \
                     union all \
                     select it.id, it.parent, it.position from messages it join up on it.id = up.parent \
                     where it.position >= $2 \
                 ) select messages.id from messages join up on messages.id = up.id \
                 where messages.state = 'awaited' and messages.position < $3 order by messages.position desc limit 1";
    let row: Option<Uuid> = on!(db, pool => {
        let query = sqlx::query_scalar(above).bind(Uuid::from(message.id)).bind(*oldest).bind(below);
        query.fetch_optional(pool).await
    })?;
    Ok(row.map(MessageId::from))
}

/// What a message follows, newest first.
pub async fn above(db: &Db, id: MessageId, limit: u32) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "with recursive up (parent, depth) as ( \
             select parent, 1 from messages where id = $1 \
             union all \
             select it.parent, depth + 1 from messages it join up on it.id = up.parent where depth < $2 \
         ) select {CELLS} from messages where id in (select parent from up) order by position desc"
    );
    let rows: Vec<Row> = on!(db, pool => {
        sqlx::query_as(&sql).bind(Uuid::from(id)).bind(i64::from(limit)).fetch_all(pool).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}

/// The word of the system with which a conversation begins, where it does.
pub async fn opening(db: &Db, conversation: ConversationId) -> Result<Option<Message>, StoreError> {
    let sql = format!(
        "select {CELLS} from messages where conversation = $1 and parent is null and role = 'system' and shown = 1 limit 1"
    );
    let row: Option<Row> = on!(db, pool => {
        sqlx::query_as(&sql).bind(Uuid::from(conversation)).fetch_optional(pool).await
    })?;
    row.map(Message::try_from).transpose()
}

/// Somebody's replies before a position, newest first.
pub async fn replies_of(db: &Db, owner: UserId, before: Position, limit: u32) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "select {CELLS} from messages where answers is not null and owner = $1 and position < $2 \
         order by position desc limit $3"
    );
    let rows: Vec<Row> = on!(db, pool => {
        let query = sqlx::query_as(&sql).bind(Uuid::from(owner)).bind(before.get()).bind(i64::from(limit));
        query.fetch_all(pool).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}
