//! Files that belong to messages: they come and go by themselves, and go with their message or its conversation.

use domain::Timestamp;
use domain::chat::attachment::{AttachedTo, AttachmentEvent, File};
use domain::ids::{AttachmentId, BytesId, ConversationId, MessageId, UserId};
use domain::values::{Digest, FileName, MediaType};
use sqlx::FromRow;
use store::bulk::{self, Column};
use store::{Db, StoreError, Tx, on, on_tx};
use uuid::Uuid;

use crate::Change;

/// A file as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub id: AttachmentId,
    pub message: MessageId,
    pub file: File,
    /// Under which id its bytes are.
    pub kept_as: BytesId,
    pub created_at: Timestamp,
}

pub(super) async fn apply(
    tx: &mut Tx,
    change: &Change,
    id: AttachmentId,
    event: &AttachmentEvent,
) -> Result<(), StoreError> {
    match event {
        AttachmentEvent::AttachmentAdded { to, file, kept_as } => {
            add(tx, change, id, *to, file, kept_as.unwrap_or_else(|| id.into())).await
        }
        AttachmentEvent::AttachmentRemoved { .. } => {
            delete(tx, "delete from attachments where id = $1", id.into()).await
        }
    }
}

async fn add(
    tx: &mut Tx,
    change: &Change,
    id: AttachmentId,
    to: AttachedTo,
    file: &File,
    kept_as: BytesId,
) -> Result<(), StoreError> {
    let digest = String::from(file.digest);
    let columns = [
        Column::Uuid(vec![id.into()]),
        Column::Uuid(vec![to.message.into()]),
        Column::Uuid(vec![to.conversation.into()]),
        Column::Uuid(vec![to.owner.into()]),
        Column::Text(vec![file.name.as_str()]),
        Column::Text(vec![file.media_type.as_str()]),
        Column::Int(vec![i64::try_from(file.size).unwrap_or(i64::MAX)]),
        Column::Text(vec![&digest]),
        Column::Uuid(vec![kept_as.into()]),
        Column::Int(vec![change.at.as_micros()]),
        Column::Int(vec![change.position.get()]),
    ];
    bulk::execute(tx, ADD, &columns).await
}

const ADD: &str = "\
    with added (id, message, conversation, owner, name, media_type, size, digest, kept_as, created_at, position) as ({rows}) \
    insert into attachments (id, message, conversation, owner, name, media_type, size, digest, kept_as, created_at, \
                             position) \
    select id, message, conversation, owner, name, media_type, size, digest, kept_as, created_at, position from added";

pub(super) async fn message_deleted(tx: &mut Tx, id: MessageId) -> Result<(), StoreError> {
    delete(tx, "delete from attachments where message = $1", id.into()).await
}

pub(super) async fn conversation_deleted(tx: &mut Tx, id: ConversationId) -> Result<(), StoreError> {
    delete(tx, "delete from attachments where conversation = $1", id.into()).await
}

async fn delete(tx: &mut Tx, sql: &str, id: Uuid) -> Result<(), StoreError> {
    Ok(on_tx!(tx, connection => sqlx::query(sql).bind(id).execute(connection).await.map(|_| ()))?)
}

/// One file of somebody's.
pub async fn attachment(db: &Db, owner: UserId, id: AttachmentId) -> Result<Option<Attachment>, StoreError> {
    let sql = format!("select {CELLS} from attachments where id = $1 and owner = $2");
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    let row: Option<Row> = on!(db, pool => sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await)?;
    row.map(Attachment::try_from).transpose()
}

/// The files of a conversation's messages, oldest first.
pub async fn attachments_in(db: &Db, conversation: ConversationId) -> Result<Vec<Attachment>, StoreError> {
    let sql = format!("select {CELLS} from attachments where conversation = $1 order by position");
    let id = Uuid::from(conversation);
    let rows: Vec<Row> = on!(db, pool => sqlx::query_as(&sql).bind(id).fetch_all(pool).await)?;
    rows.into_iter().map(Attachment::try_from).collect()
}

/// The files of a message, oldest first.
pub async fn attachments_of(db: &Db, message: MessageId) -> Result<Vec<Attachment>, StoreError> {
    let sql = format!("select {CELLS} from attachments where message = $1 order by position");
    let rows: Vec<Row> = on!(db, pool => sqlx::query_as(&sql).bind(Uuid::from(message)).fetch_all(pool).await)?;
    rows.into_iter().map(Attachment::try_from).collect()
}

/// Whose bytes are kept from one id to another, both included, whosoever they are.
pub async fn kept_between(db: &Db, first: BytesId, last: BytesId) -> Result<Vec<BytesId>, StoreError> {
    let sql = "select kept_as from attachments where kept_as >= $1 and kept_as <= $2 order by kept_as";
    let (first, last) = (Uuid::from(first), Uuid::from(last));
    let ids: Vec<Uuid> = on!(db, pool => sqlx::query_scalar(sql).bind(first).bind(last).fetch_all(pool).await)?;
    Ok(ids.into_iter().map(BytesId::from).collect())
}

const CELLS: &str = "id, message, name, media_type, size, digest, kept_as, created_at";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    message: Uuid,
    name: String,
    media_type: String,
    size: i64,
    digest: String,
    kept_as: Uuid,
    created_at: i64,
}

impl TryFrom<Row> for Attachment {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |what: &'static str| StoreError::Corrupt(what.into());
        let name = FileName::try_from(row.name).map_err(|_| corrupt("a file with no name"))?;
        let media_type: MediaType = row.media_type.parse().map_err(|_| corrupt("a file of no known kind"))?;
        let digest = Digest::try_from(row.digest).map_err(|_| corrupt("a file with no digest"))?;
        let size = u64::try_from(row.size).unwrap_or(0);
        Ok(Self {
            id: row.id.into(),
            message: row.message.into(),
            file: File { name, media_type, size, digest },
            kept_as: row.kept_as.into(),
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}
