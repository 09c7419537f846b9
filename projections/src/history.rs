//! `history`: the conversations and messages that people look back on.

mod apply;
mod columns;
mod query;
mod replies;

use domain::chat::Usage;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp, words};
use serde::{Deserialize, Serialize};
use store::read_model::Spec;
use store::{Position, StoreError, Tx};

use crate::{Change, Projection};
pub use query::{Clearing, Cursor, HistoryPage, HistoryQuery, conversations_of, message, page};
pub use replies::{awaited, awaited_before, awaited_by, replies_of, said_until};

/// The read model of conversations and messages.
#[derive(Debug)]
pub struct History;

impl Projection for History {
    const SPEC: Spec = Spec { name: "history", tables: include_str!("../../migrations/history/tables.sql") };

    fn concerns(event: &Event) -> bool {
        matches!(event, Event::Conversation(..) | Event::Message(..))
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
    /// For a reply: the message that it answers.
    pub answers: Option<MessageId>,
    pub state: State,
    /// Why it ended as it did: a word of [`FinishReason`](domain::chat::reply::FinishReason) or
    /// [`Interruption`](domain::chat::reply::Interruption).
    pub reason: Option<String>,
    /// Without what it cost.
    pub usage: Usage,
    pub created_at: Timestamp,
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

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Bot,
}

impl Role {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
        }
    }
}
