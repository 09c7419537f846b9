//! A message and a conversation as every path shows them.

use std::collections::HashMap;

use domain::chat::message::Rating;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::history::{Conversation, Message};
use serde::Serialize;

use super::replying::ShownUsage;
use crate::time::Time;

/// A message as it stands.
#[derive(Serialize)]
pub(super) struct ShownMessage {
    id: MessageId,
    message_id: MessageId,
    session_id: ConversationId,
    role: &'static str,
    content: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    parent_id: Option<MessageId>,
    /// Whether it is on the branch that was chosen.
    is_shown: bool,
    /// Those that follow the same one, this among them; said where a conversation's branches are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sibling_ids: Vec<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ShownUsage>,
    rating: Option<Rating>,
    timestamp: Time,
    created_at: Time,
    updated_at: Time,
}

impl From<Message> for ShownMessage {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            message_id: message.id,
            session_id: message.conversation,
            role: message.role.as_str(),
            content: message.content,
            status: message.state.as_str(),
            reason: message.reason,
            model: message.model,
            parent_id: message.parent,
            is_shown: message.shown,
            sibling_ids: Vec::new(),
            user_message_id: message.answers,
            usage: message.answers.map(|_| message.usage.into()),
            rating: message.rating,
            timestamp: Time(message.created_at),
            created_at: Time(message.created_at),
            updated_at: Time(message.updated_at),
        }
    }
}

impl ShownMessage {
    /// The same, with those that stand beside it.
    pub(super) fn among(message: Message, siblings: &mut HashMap<MessageId, Vec<MessageId>>) -> Self {
        let sibling_ids = siblings.remove(&message.id).unwrap_or_default();
        Self { sibling_ids, ..message.into() }
    }
}

/// A conversation as it stands.
#[derive(Serialize)]
pub(super) struct ShownSession {
    session_id: ConversationId,
    user_id: UserId,
    session_name: String,
    is_favorite: bool,
    is_archived: bool,
    /// Where it goes on.
    leaf_id: Option<MessageId>,
    messages: u64,
    created_at: Time,
    updated_at: Time,
}

/// What a conversation is called in which nothing was said yet.
pub(super) const NAMELESS: &str = "New conversation";

impl From<Conversation> for ShownSession {
    fn from(conversation: Conversation) -> Self {
        Self {
            session_id: conversation.id,
            user_id: conversation.owner,
            session_name: conversation.name.unwrap_or_else(|| NAMELESS.to_owned()),
            is_favorite: conversation.favourite,
            is_archived: conversation.archived,
            leaf_id: conversation.leaf,
            messages: conversation.messages,
            created_at: Time(conversation.created_at),
            updated_at: Time(conversation.updated_at),
        }
    }
}
