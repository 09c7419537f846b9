//! A batch in memory: messages that are new, and vectors in the order in which they came.

use std::collections::{BTreeMap, BTreeSet};

use domain::chat::import::Imported;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};

use super::vector::unit;
use super::{MODEL, Place, embed};
use crate::Change;
use crate::history::Role;

/// A vector that a model gave a message.
pub(super) struct Given<'a> {
    pub(super) message: MessageId,
    pub(super) model: &'a str,
    pub(super) vector: Vec<f32>,
}

#[derive(Default)]
pub(super) struct Fold<'a> {
    pub(super) placed: BTreeMap<MessageId, Place>,
    pub(super) given: Vec<Given<'a>>,
    /// Whose vectors are among those that were given.
    keys: BTreeSet<(MessageId, &'a str)>,
}

impl<'a> Fold<'a> {
    /// Whether the event takes away what is in the fold already: then that is to be written first.
    pub(super) fn has_given(&self, id: MessageId, event: &'a MessageEvent) -> bool {
        match event {
            MessageEvent::MessageEmbedded { embedding, .. } => self.keys.contains(&(id, embedding.model.as_str())),
            MessageEvent::MessagePosted { .. }
            | MessageEvent::ReplyGiven { .. }
            | MessageEvent::ReplyRequested { .. }
            | MessageEvent::ReplyCompleted { .. }
            | MessageEvent::ReplyStopped { .. }
            | MessageEvent::ReplyInterrupted { .. }
            | MessageEvent::MessageImported { .. }
            | MessageEvent::MessageRated { .. }
            | MessageEvent::MessageDeleted { .. } => false,
        }
    }

    pub(super) fn message(&mut self, change: &Change, id: MessageId, event: &'a MessageEvent) {
        match event {
            MessageEvent::MessagePosted { conversation, owner, body, speaker, .. } => {
                self.place(change, id, *conversation, *owner, (*speaker).into());
                self.say(id, body.as_str());
            }
            MessageEvent::ReplyGiven { conversation, owner, text, .. } => {
                self.place(change, id, *conversation, *owner, Role::Bot);
                self.say(id, text);
            }
            MessageEvent::ReplyRequested { reply, .. } => {
                self.place(change, id, reply.conversation, reply.owner, Role::Bot);
            }
            MessageEvent::ReplyCompleted { said, .. }
            | MessageEvent::ReplyStopped { said, .. }
            | MessageEvent::ReplyInterrupted { said, .. } => self.say(id, &said.text),
            MessageEvent::MessageImported { message } => self.import(change, id, message),
            MessageEvent::MessageEmbedded { embedding, .. } => {
                self.give(id, embedding.model.as_str(), unit(&embedding.vector.numbers()));
            }
            MessageEvent::MessageRated { .. } | MessageEvent::MessageDeleted { .. } => {}
        }
    }

    fn place(&mut self, change: &Change, message: MessageId, conversation: ConversationId, owner: UserId, role: Role) {
        let (created_at, position) = (change.at.as_micros(), change.position.get());
        self.placed.insert(message, Place { message, conversation, owner, role, created_at, position });
    }

    fn import(&mut self, change: &Change, id: MessageId, message: &Imported) {
        let Imported { conversation, owner, words, created_at, .. } = message;
        let (created_at, position) = (created_at.as_micros(), change.position.get());
        let (conversation, owner, role) = (*conversation, *owner, words.into());
        self.placed.insert(id, Place { message: id, conversation, owner, role, created_at, position });
        self.say(id, words.text());
    }

    /// The built-in model's vector of what was said.
    fn say(&mut self, message: MessageId, text: &str) {
        self.give(message, MODEL, embed(text));
    }

    fn give(&mut self, message: MessageId, model: &'a str, vector: Option<Vec<f32>>) {
        if let Some(vector) = vector {
            self.keys.insert((message, model));
            self.given.push(Given { message, model, vector });
        }
    }
}
