//! `Post` → `MessagePosted`; `GiveReply` → `ReplyGiven`; `RequestReply` → `ReplyRequested`, then one ending: a turn is two
//! of these streams. `Import` → `MessageImported`, `Rate` → `MessageRated`, `Embed` → `MessageEmbedded`, `Delete` →
//! `MessageDeleted`.

mod event;

use serde::{Deserialize, Serialize};

use super::import::{self, Imported, Words};
use super::place::{After, Speaker};
use super::reply::{Asked, Ending, ReplyTo, Said, Usage};
use crate::Timestamp;
use crate::decide::aggregate;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::{Embedding, MessageBody};
pub use event::MessageEvent;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageCommand {
    Post {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
        speaker: Speaker,
        after: After,
    },
    /// The rule bot answers at once.
    GiveReply {
        reply: ReplyTo,
        text: String,
        model: String,
    },
    RequestReply {
        reply: ReplyTo,
        asked: Asked,
    },
    EndReply {
        said: Said,
        ending: Ending,
    },
    /// It was said elsewhere.
    Import(Imported),
    /// Asks whether it is a message of a conversation of `by`'s; nothing happens.
    Find {
        by: UserId,
        conversation: ConversationId,
    },
    Rate {
        by: UserId,
        rating: Rating,
    },
    /// Its owner says where it stands among others, or a provider's model does, in their name.
    Embed {
        by: UserId,
        embedding: Embedding,
        usage: Option<Usage>,
    },
    Delete {
        by: UserId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("the message exists already")]
    AlreadyExists,
    #[error("no reply is awaited here")]
    NoReplyAwaited,
    /// Foreign, deleted, or never posted: one answer for all three.
    #[error("there is no such message")]
    NotFound,
}

crate::words! {
    /// What its reader thinks of a message.
    Rating {
        Up = "up",
        Down = "down",
        /// As before anybody thought of it.
        Unrated = "none",
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    #[default]
    Unknown,
    Posted {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
        speaker: Speaker,
        after: After,
    },
    Awaited {
        reply: ReplyTo,
        asked: Asked,
    },
    Replied {
        reply: ReplyTo,
        /// `None` for the rule bot, which nobody asks.
        asked: Option<Asked>,
    },
    Deleted,
}

aggregate!(Message, "message", MessageId, MessageCommand, MessageEvent, MessageError);

impl Message {
    /// For a reply, whose it is and to what.
    #[must_use]
    pub const fn reply(&self) -> Option<ReplyTo> {
        match self {
            Self::Awaited { reply, .. } | Self::Replied { reply, .. } => Some(*reply),
            Self::Unknown | Self::Posted { .. } | Self::Deleted => None,
        }
    }

    /// Where it stands, and whose it is.
    #[must_use]
    pub const fn place(&self) -> Option<(ConversationId, UserId)> {
        match self {
            Self::Posted { conversation, owner, .. } => Some((*conversation, *owner)),
            Self::Awaited { reply, .. } | Self::Replied { reply, .. } => Some((reply.conversation, reply.owner)),
            Self::Unknown | Self::Deleted => None,
        }
    }

    fn decide(&self, command: MessageCommand, _now: Timestamp) -> Result<Vec<MessageEvent>, MessageError> {
        match (self, command) {
            (Self::Unknown, MessageCommand::Post { conversation, owner, body, speaker, after }) => {
                Ok(vec![MessageEvent::MessagePosted { conversation, owner, body, speaker, after }])
            }
            (Self::Unknown, MessageCommand::GiveReply { reply, text, model }) => {
                let ReplyTo { conversation, owner, to } = reply;
                Ok(vec![MessageEvent::ReplyGiven { conversation, owner, to, text, model }])
            }
            (Self::Unknown, MessageCommand::RequestReply { reply, asked }) => {
                Ok(vec![MessageEvent::ReplyRequested { reply, asked }])
            }
            (Self::Unknown, MessageCommand::Import(message)) => Ok(vec![MessageEvent::MessageImported { message }]),
            (Self::Awaited { reply, .. }, MessageCommand::EndReply { said, ending }) => {
                Ok(vec![ended(reply.owner, said, ending)])
            }
            (
                _,
                MessageCommand::Post { .. }
                | MessageCommand::GiveReply { .. }
                | MessageCommand::RequestReply { .. }
                | MessageCommand::Import(_),
            ) => Err(MessageError::AlreadyExists),
            (_, MessageCommand::EndReply { .. }) => Err(MessageError::NoReplyAwaited),
            (state, MessageCommand::Find { by, conversation }) => {
                if state.place_of(by)? == conversation {
                    Ok(Vec::new())
                } else {
                    Err(MessageError::NotFound)
                }
            }
            (state, MessageCommand::Rate { by, rating }) => {
                state.place_of(by).map(|_| vec![MessageEvent::MessageRated { owner: by, rating }])
            }
            (state, MessageCommand::Embed { by, embedding, usage }) => {
                state.place_of(by).map(|_| vec![MessageEvent::MessageEmbedded { owner: by, embedding, usage }])
            }
            (state, MessageCommand::Delete { by }) => {
                let conversation = state.place_of(by)?;
                Ok(vec![MessageEvent::MessageDeleted { owner: by, conversation }])
            }
        }
    }

    fn imported(message: Imported) -> Self {
        let Imported { conversation, owner, after, words, .. } = message;
        match words {
            Words::Posted { speaker, body } => Self::Posted { conversation, owner, body, speaker, after },
            Words::Replied { to, said, .. } => {
                Self::Replied { reply: ReplyTo { conversation, owner, to }, asked: import::asked(said.model) }
            }
        }
    }

    /// In which conversation it stands, where it is of `by`.
    fn place_of(&self, by: UserId) -> Result<ConversationId, MessageError> {
        let place = self.place().filter(|(_, owner)| *owner == by);
        place.map(|(conversation, _)| conversation).ok_or(MessageError::NotFound)
    }

    fn evolve(&mut self, event: MessageEvent) {
        *self = match (std::mem::take(self), event) {
            (_, MessageEvent::MessagePosted { conversation, owner, body, speaker, after }) => {
                Self::Posted { conversation, owner, body, speaker, after }
            }
            (_, MessageEvent::ReplyGiven { conversation, owner, to, .. }) => {
                Self::Replied { reply: ReplyTo { conversation, owner, to }, asked: None }
            }
            (_, MessageEvent::ReplyRequested { reply, asked }) => Self::Awaited { reply, asked },
            (_, MessageEvent::MessageImported { message }) => Self::imported(message),
            (_, MessageEvent::MessageDeleted { .. }) => Self::Deleted,
            (
                Self::Awaited { reply, asked },
                MessageEvent::ReplyCompleted { .. }
                | MessageEvent::ReplyStopped { .. }
                | MessageEvent::ReplyInterrupted { .. },
            ) => Self::Replied { reply, asked: Some(asked) },
            (
                state @ (Self::Unknown | Self::Posted { .. } | Self::Replied { .. } | Self::Deleted),
                MessageEvent::ReplyCompleted { .. }
                | MessageEvent::ReplyStopped { .. }
                | MessageEvent::ReplyInterrupted { .. },
            )
            | (state, MessageEvent::MessageRated { .. } | MessageEvent::MessageEmbedded { .. }) => state,
        };
    }
}

fn ended(owner: UserId, said: Said, ending: Ending) -> MessageEvent {
    match ending {
        Ending::Completed { finish } => MessageEvent::ReplyCompleted { owner: Some(owner), said, finish },
        Ending::Stopped => MessageEvent::ReplyStopped { owner, said },
        Ending::Interrupted { reason, retry_after_seconds } => {
            MessageEvent::ReplyInterrupted { owner, said, reason, retry_after_seconds }
        }
    }
}

#[cfg(test)]
mod tests;
