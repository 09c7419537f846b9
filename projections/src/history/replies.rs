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

/// The newest reply that is being made in a conversation to what was said before a reply was asked for there.
pub async fn awaited_before(
    db: &Db,
    conversation: ConversationId,
    before: Position,
) -> Result<Option<MessageId>, StoreError> {
    let sql = "select id from messages where state = 'awaited' and conversation = $1 and position < $2 \
               order by position desc limit 1";
    let row: Option<Uuid> = on!(db, pool => {
        sqlx::query_scalar(sql).bind(Uuid::from(conversation)).bind(before.get()).fetch_optional(pool).await
    })?;
    Ok(row.map(MessageId::from))
}

/// The newest of what was said in a conversation before a position, newest first.
pub async fn said_until(
    db: &Db,
    conversation: ConversationId,
    before: Position,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "select {CELLS} from messages where conversation = $1 and position < $2 order by position desc limit $3"
    );
    let rows: Vec<Row> = on!(db, pool => {
        let query = sqlx::query_as(&sql).bind(Uuid::from(conversation)).bind(before.get()).bind(i64::from(limit));
        query.fetch_all(pool).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
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
