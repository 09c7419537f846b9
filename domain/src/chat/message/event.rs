//! What happens to a message.

use serde::{Deserialize, Serialize};

use super::Rating;
use crate::chat::import::Imported;
use crate::chat::place::{After, Speaker};
use crate::chat::reply::{Asked, Ending, FinishReason, Interruption, ReplyTo, Said, Usage};
use crate::decide::events;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::{Embedding, MessageBody};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageEvent {
    /// In version 1 all messages were a person's, each after the one before.
    MessagePosted {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
        #[serde(default)]
        speaker: Speaker,
        #[serde(default)]
        after: After,
    },
    ReplyGiven {
        conversation: ConversationId,
        owner: UserId,
        to: MessageId,
        text: String,
        model: String,
    },
    /// In version 1 a model had no parameters.
    ReplyRequested {
        #[serde(flatten)]
        reply: ReplyTo,
        #[serde(flatten)]
        asked: Asked,
    },
    /// Version 1 named neither the owner nor why the model had ended.
    ReplyCompleted {
        #[serde(default)]
        owner: Option<UserId>,
        #[serde(flatten)]
        said: Said,
        #[serde(default)]
        finish: FinishReason,
    },
    ReplyStopped {
        owner: UserId,
        #[serde(flatten)]
        said: Said,
    },
    ReplyInterrupted {
        owner: UserId,
        #[serde(flatten)]
        said: Said,
        reason: Interruption,
        retry_after_seconds: Option<u32>,
    },
    MessageImported {
        #[serde(flatten)]
        message: Imported,
    },
    MessageRated {
        owner: UserId,
        rating: Rating,
    },
    /// Version 1 was its owner's, whom it cost nothing.
    MessageEmbedded {
        owner: UserId,
        embedding: Embedding,
        #[serde(default)]
        usage: Option<Usage>,
    },
    MessageDeleted {
        owner: UserId,
        conversation: ConversationId,
    },
}

events!(MessageEvent {
    MessagePosted = "2",
    ReplyGiven = "1",
    ReplyRequested = "2",
    ReplyCompleted = "2",
    ReplyStopped = "1",
    ReplyInterrupted = "1",
    MessageImported = "1",
    MessageRated = "1",
    MessageEmbedded = "2",
    MessageDeleted = "1",
});

impl MessageEvent {
    /// How a reply ended, and with what.
    #[must_use]
    pub const fn ending(&self) -> Option<(Ending, &Said)> {
        match self {
            Self::ReplyCompleted { said, finish, .. } => Some((Ending::Completed { finish: *finish }, said)),
            Self::ReplyStopped { said, .. } => Some((Ending::Stopped, said)),
            Self::ReplyInterrupted { said, reason, retry_after_seconds, .. } => {
                Some((Ending::Interrupted { reason: *reason, retry_after_seconds: *retry_after_seconds }, said))
            }
            Self::MessagePosted { .. }
            | Self::ReplyGiven { .. }
            | Self::ReplyRequested { .. }
            | Self::MessageImported { .. }
            | Self::MessageRated { .. }
            | Self::MessageEmbedded { .. }
            | Self::MessageDeleted { .. } => None,
        }
    }
}
