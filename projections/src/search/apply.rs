//! Events in: a batch is gathered in memory, then written in a few statements. What is rare is written by itself, in its turn.

use std::collections::BTreeMap;

use domain::chat::conversation::ConversationEvent;
use domain::chat::import::Imported;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp};
use store::{StoreError, Tx};

use super::write;
use crate::Change;
use crate::history::Role;

/// A message with all that was said in it.
pub(super) struct Said {
    pub(super) position: i64,
    pub(super) id: MessageId,
    pub(super) place: Place,
    pub(super) role: Role,
    pub(super) text: String,
}

/// Where a message stands, whose it is, and when it began.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) conversation: ConversationId,
    pub(super) owner: UserId,
    pub(super) at: Timestamp,
}

#[derive(Default)]
pub(super) struct Gathered {
    pub(super) started: Vec<(ConversationId, UserId, bool)>,
    pub(super) awaited: BTreeMap<MessageId, Place>,
    pub(super) said: Vec<Said>,
}

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut gathered = Gathered::default();
    for change in changes {
        if let Event::Conversation(id, event) = &change.event {
            conversation(tx, &mut gathered, *id, event).await?;
        } else if let Event::Message(id, event) = &change.event {
            message(tx, &mut gathered, change, *id, event).await?;
        }
    }
    write::all(tx, gathered).await
}

async fn conversation(
    tx: &mut Tx,
    gathered: &mut Gathered,
    id: ConversationId,
    event: &ConversationEvent,
) -> Result<(), StoreError> {
    match event {
        ConversationEvent::ConversationStarted { owner, features } => {
            gathered.started.push((id, *owner, features.favourite));
            return Ok(());
        }
        ConversationEvent::ConversationRenamed { .. }
        | ConversationEvent::ConversationUnnamed { .. }
        | ConversationEvent::ConversationTitled { .. }
        | ConversationEvent::TitleWasted { .. }
        | ConversationEvent::ConversationArchived { .. }
        | ConversationEvent::ConversationRestored { .. }
        | ConversationEvent::BranchChosen { .. }
        | ConversationEvent::ConversationImported { .. } => return Ok(()),
        ConversationEvent::ConversationFavourited { .. }
        | ConversationEvent::ConversationUnfavourited { .. }
        | ConversationEvent::ConversationDeleted { .. } => {}
    }
    write::all(tx, std::mem::take(gathered)).await?;
    if matches!(event, ConversationEvent::ConversationDeleted { .. }) {
        return write::delete_conversation(tx, id).await;
    }
    write::favour(tx, id, matches!(event, ConversationEvent::ConversationFavourited { .. })).await
}

async fn message(
    tx: &mut Tx,
    gathered: &mut Gathered,
    change: &Change,
    id: MessageId,
    event: &MessageEvent,
) -> Result<(), StoreError> {
    let (position, at) = (change.position.get(), change.at);
    if let Some((_, said)) = event.ending() {
        let begun = gathered.awaited.remove(&id);
        let begun = if begun.is_some() { begun } else { write::take_awaited(tx, id).await? };
        let said = begun.map(|place| Said { position, id, place, role: Role::Bot, text: said.text.clone() });
        gathered.said.extend(said);
        return Ok(());
    }
    match event {
        MessageEvent::MessagePosted { conversation, owner, body, speaker, .. } => {
            let place = Place { conversation: *conversation, owner: *owner, at };
            let (role, text) = (Role::from(*speaker), body.as_str().to_owned());
            gathered.said.push(Said { position, id, place, role, text });
        }
        MessageEvent::ReplyGiven { conversation, owner, text, .. } => {
            let place = Place { conversation: *conversation, owner: *owner, at };
            gathered.said.push(Said { position, id, place, role: Role::Bot, text: text.clone() });
        }
        MessageEvent::ReplyRequested { reply, .. } => {
            let place = Place { conversation: reply.conversation, owner: reply.owner, at };
            gathered.awaited.insert(id, place);
        }
        MessageEvent::MessageImported { message } => {
            let Imported { conversation, owner, words, created_at: at, .. } = message;
            let place = Place { conversation: *conversation, owner: *owner, at: *at };
            gathered.said.push(Said { position, id, place, role: words.into(), text: words.text().to_owned() });
        }
        MessageEvent::MessageDeleted { .. } => {
            write::all(tx, std::mem::take(gathered)).await?;
            write::delete_message(tx, id).await?;
        }
        MessageEvent::ReplyCompleted { .. }
        | MessageEvent::ReplyStopped { .. }
        | MessageEvent::ReplyInterrupted { .. }
        | MessageEvent::MessageRated { .. }
        | MessageEvent::MessageEmbedded { .. } => {}
    }
    Ok(())
}
