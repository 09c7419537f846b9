//! Events in: a batch is folded in memory, then written in a few statements. What is rare is written by itself, in its turn.

use domain::chat::conversation::ConversationEvent;
use domain::chat::message::{MessageEvent, Rating};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::attachments;
use super::columns::write;
use super::fold::{Fold, Placed};
use super::tree;
use crate::Change;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        match &change.event {
            Event::Conversation(id, ConversationEvent::ConversationStarted { owner, features }) => {
                fold.conversation_started(change, *id, *owner, features);
            }
            Event::Conversation(id, ConversationEvent::ConversationImported { kept, .. }) => {
                fold.conversation_imported(change, *id, kept);
            }
            Event::Conversation(id, event) => {
                write(tx, std::mem::take(&mut fold)).await?;
                conversation_changed(tx, change, *id, event).await?;
            }
            Event::Message(id, event) => {
                if fold.is_over_before(event) {
                    write(tx, fold.take()).await?;
                }
                if let Placed::Aside(message) = fold.message(change, *id, event) {
                    write(tx, fold.take()).await?;
                    fold.grafted(message.conversation, *id);
                    tree::graft(tx, *message).await?;
                }
                if is_rare(event) {
                    write(tx, std::mem::take(&mut fold)).await?;
                    message_changed(tx, change, *id, event).await?;
                }
            }
            Event::Attachment(id, event) => attachments::apply(tx, change, *id, event).await?,
            Event::User(..) | Event::Claim(..) | Event::Token(..) | Event::ApiKey(..) | Event::Notice(..) => {}
        }
    }
    write(tx, fold).await
}

const fn is_rare(event: &MessageEvent) -> bool {
    matches!(event, MessageEvent::MessageRated { .. } | MessageEvent::MessageDeleted { .. })
}

async fn message_changed(tx: &mut Tx, change: &Change, id: MessageId, event: &MessageEvent) -> Result<(), StoreError> {
    match event {
        MessageEvent::MessageRated { rating, .. } => message_rated(tx, id, *rating, change.at).await,
        MessageEvent::MessageDeleted { owner, conversation } => {
            tree::remove(tx, id, *conversation, *owner).await?;
            attachments::message_deleted(tx, id).await?;
            touch(tx, change, *conversation).await
        }
        MessageEvent::MessagePosted { .. }
        | MessageEvent::ReplyGiven { .. }
        | MessageEvent::ReplyRequested { .. }
        | MessageEvent::ReplyCompleted { .. }
        | MessageEvent::ReplyStopped { .. }
        | MessageEvent::ReplyInterrupted { .. }
        | MessageEvent::MessageImported { .. }
        | MessageEvent::MessageEmbedded { .. } => Ok(()),
    }
}

async fn message_rated(tx: &mut Tx, id: MessageId, rating: Rating, at: Timestamp) -> Result<(), StoreError> {
    let rating = (rating != Rating::Unrated).then_some(rating.as_str());
    let (id, at) = (Uuid::from(id), at.as_micros());
    let sql = "update messages set rating = $2, updated_at = $3 where id = $1";
    Ok(on_tx!(tx, connection => {
        sqlx::query(sql).bind(id).bind(rating).bind(at).execute(connection).await.map(|_| ())
    })?)
}

async fn conversation_changed(
    tx: &mut Tx,
    change: &Change,
    id: ConversationId,
    event: &ConversationEvent,
) -> Result<(), StoreError> {
    match event {
        ConversationEvent::ConversationDeleted { owner } => return conversation_deleted(tx, id, *owner).await,
        // It is nobody's doing, so that it moves nothing.
        ConversationEvent::ConversationTitled { title, .. } => return set_text(tx, id, "title", title.as_str()).await,
        // Nor does who looks at another branch; who goes on there posts.
        ConversationEvent::BranchChosen { through, .. } => return tree::choose(tx, id, *through).await,
        ConversationEvent::TitleWasted { .. }
        | ConversationEvent::ConversationStarted { .. }
        | ConversationEvent::ConversationImported { .. } => return Ok(()),
        ConversationEvent::ConversationRenamed { name, .. } => set_text(tx, id, "name", name.as_str()).await?,
        ConversationEvent::ConversationUnnamed { .. } => set(tx, id, "name = null, name_key = null").await?,
        ConversationEvent::ConversationFavourited { .. } => set(tx, id, "favourite = 1").await?,
        ConversationEvent::ConversationUnfavourited { .. } => set(tx, id, "favourite = 0").await?,
        ConversationEvent::ConversationArchived { .. } => set(tx, id, "archived = 1").await?,
        ConversationEvent::ConversationRestored { .. } => set(tx, id, "archived = 0").await?,
    }
    set(tx, id, "version = version + 1").await?;
    touch(tx, change, id).await
}

async fn set(tx: &mut Tx, id: ConversationId, what: &str) -> Result<(), StoreError> {
    let (sql, id) = (format!("update conversations set {what} where id = $1"), Uuid::from(id));
    Ok(on_tx!(tx, connection => sqlx::query(&sql).bind(id).execute(connection).await.map(|_| ()))?)
}

async fn set_text(tx: &mut Tx, id: ConversationId, column: &str, text: &str) -> Result<(), StoreError> {
    let sql = format!("update conversations set {column} = $2, {column}_key = $3 where id = $1");
    let (id, key) = (Uuid::from(id), text.to_lowercase());
    Ok(on_tx!(tx, connection => {
        sqlx::query(&sql).bind(id).bind(text).bind(key).execute(connection).await.map(|_| ())
    })?)
}

/// Somebody did something to it just now.
async fn touch(tx: &mut Tx, change: &Change, id: ConversationId) -> Result<(), StoreError> {
    let (id, at, position) = (Uuid::from(id), change.at.as_micros(), change.position.get());
    let sql = "update conversations set touched = $2, \
                   updated_at = case when updated_at < $3 then $3 else updated_at end \
               where id = $1";
    Ok(on_tx!(tx, connection => {
        sqlx::query(sql).bind(id).bind(position).bind(at).execute(connection).await.map(|_| ())
    })?)
}

async fn conversation_deleted(tx: &mut Tx, id: ConversationId, owner: UserId) -> Result<(), StoreError> {
    attachments::conversation_deleted(tx, id).await?;
    let (id, owner): (Uuid, Uuid) = (id.into(), owner.into());
    let uncount = "update owners set messages = messages - (select count(*) from messages where conversation = $1) \
                   where id = $2";
    on_tx!(tx, connection => sqlx::query(uncount).bind(id).bind(owner).execute(connection).await.map(|_| ()))?;
    for delete in ["delete from messages where conversation = $1", "delete from conversations where id = $1"] {
        on_tx!(tx, connection => sqlx::query(delete).bind(id).execute(connection).await.map(|_| ()))?;
    }
    Ok(())
}
