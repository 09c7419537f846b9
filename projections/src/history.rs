//! `history`: the conversations and messages that people look back on, and the files that belong to them.

mod apply;
mod attachments;
mod columns;
mod conversations;
mod fold;
mod query;
mod replies;
mod tree;

use domain::chat::Usage;
use domain::chat::import::Words;
use domain::chat::message::Rating;
use domain::chat::place::Speaker;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp, words};
use serde::{Deserialize, Serialize};
use store::read_model::{Spec, Tables};
use store::{Position, StoreError, Tx};

use crate::{Change, Projection};
pub use attachments::{Attachment, attachment, attachments_in, attachments_of, kept_between};
pub use conversations::{
    Conversation, ConversationsQuery, Listed, conversation, conversations, conversations_in_all, last_words,
};
pub use query::{
    Clearing, Cursor, HistoryPage, HistoryQuery, Scope, conversations_of, message, page, siblings, stretch,
};
pub use replies::{above, awaited, awaited_above, awaited_by, awaited_in, opening, replies_of};

/// The read model of conversations, messages and their files.
#[derive(Debug)]
pub struct History;

impl Projection for History {
    const SPEC: Spec =
        Spec { name: "history", tables: Tables::Same(include_str!("../../migrations/history/tables.sql")) };

    fn concerns(event: &Event) -> bool {
        matches!(event, Event::Conversation(..) | Event::Message(..) | Event::Attachment(..))
    }

    async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
        apply::apply(tx, changes).await
    }
}

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub owner: UserId,
    pub role: Role,
    pub content: String,
    pub model: Option<String>,
    /// What it follows; `None` for one that begins a conversation.
    pub parent: Option<MessageId>,
    /// Whether it is on the branch that was chosen.
    pub shown: bool,
    /// For a reply: the message that it answers.
    pub answers: Option<MessageId>,
    pub state: State,
    /// Why it ended as it did: a word of [`FinishReason`](domain::chat::reply::FinishReason) or
    /// [`Interruption`](domain::chat::reply::Interruption).
    pub reason: Option<String>,
    /// Without what it cost.
    pub usage: Usage,
    pub rating: Option<Rating>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub position: Position,
}

words! {
    /// How far a message has come.
    State {
        Done = "done",
        /// A reply that is being made.
        Awaited = "awaited",
        Stopped = "stopped",
        Interrupted = "interrupted",
    }
}

words! {
    /// Who speaks.
    Role {
        User = "user",
        /// A model that was asked here, or the rule bot.
        Bot = "bot",
        /// Who posts says that a model said so.
        Assistant = "assistant",
        System = "system",
    }
}

impl From<&Words> for Role {
    fn from(words: &Words) -> Self {
        match words {
            Words::Posted { speaker, .. } => (*speaker).into(),
            Words::Replied { .. } => Self::Bot,
        }
    }
}

impl From<Speaker> for Role {
    fn from(speaker: Speaker) -> Self {
        match speaker {
            Speaker::User => Self::User,
            Speaker::Assistant => Self::Assistant,
            Speaker::System => Self::System,
        }
    }
}
