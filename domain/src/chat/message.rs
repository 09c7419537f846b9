//! `Post` → `MessagePosted`; `GiveReply` → `ReplyGiven`; `RequestReply` → `ReplyRequested`, then one ending: a turn is two
//! of these streams.

use serde::{Deserialize, Serialize};

use super::reply::{Asked, Ending, FinishReason, Interruption, ReplyTo, Said};
use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::MessageBody;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageCommand {
    Post {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageEvent {
    MessagePosted {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
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
}

events!(MessageEvent {
    MessagePosted = "1",
    ReplyGiven = "1",
    ReplyRequested = "2",
    ReplyCompleted = "2",
    ReplyStopped = "1",
    ReplyInterrupted = "1",
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
            Self::MessagePosted { .. } | Self::ReplyGiven { .. } | Self::ReplyRequested { .. } => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("the message exists already")]
    AlreadyExists,
    #[error("no reply is awaited here")]
    NoReplyAwaited,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    #[default]
    Unknown,
    Posted {
        conversation: ConversationId,
        owner: UserId,
        body: MessageBody,
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
}

aggregate!(Message, "message", MessageId, MessageCommand, MessageEvent, MessageError);

impl Message {
    /// For a reply, whose it is and to what.
    #[must_use]
    pub const fn reply(&self) -> Option<ReplyTo> {
        match self {
            Self::Awaited { reply, .. } | Self::Replied { reply, .. } => Some(*reply),
            Self::Unknown | Self::Posted { .. } => None,
        }
    }

    fn decide(&self, command: MessageCommand, _now: Timestamp) -> Result<Vec<MessageEvent>, MessageError> {
        match (self, command) {
            (Self::Unknown, MessageCommand::Post { conversation, owner, body }) => {
                Ok(vec![MessageEvent::MessagePosted { conversation, owner, body }])
            }
            (Self::Unknown, MessageCommand::GiveReply { reply, text, model }) => {
                let ReplyTo { conversation, owner, to } = reply;
                Ok(vec![MessageEvent::ReplyGiven { conversation, owner, to, text, model }])
            }
            (Self::Unknown, MessageCommand::RequestReply { reply, asked }) => {
                Ok(vec![MessageEvent::ReplyRequested { reply, asked }])
            }
            (Self::Awaited { reply, .. }, MessageCommand::EndReply { said, ending }) => {
                Ok(vec![ended(reply.owner, said, ending)])
            }
            (
                _,
                MessageCommand::Post { .. } | MessageCommand::GiveReply { .. } | MessageCommand::RequestReply { .. },
            ) => Err(MessageError::AlreadyExists),
            (_, MessageCommand::EndReply { .. }) => Err(MessageError::NoReplyAwaited),
        }
    }

    fn evolve(&mut self, event: MessageEvent) {
        *self = match (std::mem::take(self), event) {
            (_, MessageEvent::MessagePosted { conversation, owner, body }) => {
                Self::Posted { conversation, owner, body }
            }
            (_, MessageEvent::ReplyGiven { conversation, owner, to, .. }) => {
                Self::Replied { reply: ReplyTo { conversation, owner, to }, asked: None }
            }
            (_, MessageEvent::ReplyRequested { reply, asked }) => Self::Awaited { reply, asked },
            (
                Self::Awaited { reply, asked },
                MessageEvent::ReplyCompleted { .. }
                | MessageEvent::ReplyStopped { .. }
                | MessageEvent::ReplyInterrupted { .. },
            ) => Self::Replied { reply, asked: Some(asked) },
            (
                state @ (Self::Unknown | Self::Posted { .. } | Self::Replied { .. }),
                MessageEvent::ReplyCompleted { .. }
                | MessageEvent::ReplyStopped { .. }
                | MessageEvent::ReplyInterrupted { .. },
            ) => state,
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
mod tests {
    use super::*;
    use crate::chat::Usage;
    use crate::testing::{given, id, parsed};

    fn reply() -> ReplyTo {
        ReplyTo { conversation: id(1), owner: id(2), to: id(3) }
    }

    fn asked() -> Asked {
        Asked {
            model: "openai/gpt-4o-mini".to_owned(),
            max_tokens: 100.try_into().ok(),
            temperature: 0.5.try_into().ok(),
        }
    }

    fn said() -> Said {
        Said { text: "Hello!".to_owned(), model: "openai/gpt-4o-mini".to_owned(), usage: Usage::default() }
    }

    fn post() -> MessageCommand {
        MessageCommand::Post { conversation: id(1), owner: id(2), body: parsed(" hello ") }
    }

    fn posted() -> MessageEvent {
        MessageEvent::MessagePosted { conversation: id(1), owner: id(2), body: parsed(" hello ") }
    }

    fn give() -> MessageCommand {
        MessageCommand::GiveReply { reply: reply(), text: "Hi".to_owned(), model: "rules".to_owned() }
    }

    fn was_given() -> MessageEvent {
        let ReplyTo { conversation, owner, to } = reply();
        MessageEvent::ReplyGiven { conversation, owner, to, text: "Hi".to_owned(), model: "rules".to_owned() }
    }

    fn request() -> MessageCommand {
        MessageCommand::RequestReply { reply: reply(), asked: asked() }
    }

    fn requested() -> MessageEvent {
        MessageEvent::ReplyRequested { reply: reply(), asked: asked() }
    }

    /// Each way in which a reply ends, with its event.
    fn endings() -> [(MessageCommand, MessageEvent); 3] {
        let owner = reply().owner;
        let (finish, reason, retry_after_seconds) = (FinishReason::Length, Interruption::RateLimited, Some(7));
        let interrupted = Ending::Interrupted { reason, retry_after_seconds };
        [
            (Ending::Completed { finish }, MessageEvent::ReplyCompleted { owner: Some(owner), said: said(), finish }),
            (Ending::Stopped, MessageEvent::ReplyStopped { owner, said: said() }),
            (interrupted, MessageEvent::ReplyInterrupted { owner, said: said(), reason, retry_after_seconds }),
        ]
        .map(|(ending, event)| (MessageCommand::EndReply { said: said(), ending }, event))
    }

    #[test]
    fn a_message_is_posted() {
        given::<Message>(vec![]).when(post()).then_expect_events(vec![posted()]);
    }

    #[test]
    fn a_reply_is_given_at_once() {
        given::<Message>(vec![]).when(give()).then_expect_events(vec![was_given()]);
    }

    #[test]
    fn a_reply_is_requested() {
        given::<Message>(vec![]).when(request()).then_expect_events(vec![requested()]);
    }

    #[test]
    fn a_requested_reply_ends_once() {
        for (end, ended) in endings() {
            given::<Message>(vec![requested()]).when(end).then_expect_events(vec![ended.clone()]);
            for (again, _) in endings() {
                given::<Message>(vec![requested(), ended.clone()])
                    .when(again)
                    .then_expect_error(MessageError::NoReplyAwaited);
            }
        }
    }

    #[test]
    fn an_event_says_how_a_reply_ended() {
        for (command, event) in endings() {
            let (ending, said) = event.ending().unwrap();
            assert_eq!(MessageCommand::EndReply { said: said.clone(), ending }, command);
        }
        assert!([posted(), was_given(), requested()].iter().all(|event| event.ending().is_none()));
    }

    #[test]
    fn a_stream_is_one_message_or_one_reply() {
        let [(_, completed), ..] = endings();
        for history in [vec![posted()], vec![was_given()], vec![requested()], vec![requested(), completed]] {
            for command in [post(), give(), request()] {
                given::<Message>(history.clone()).when(command).then_expect_error(MessageError::AlreadyExists);
            }
        }
    }

    #[test]
    fn only_an_awaited_reply_ends() {
        for history in [vec![], vec![posted()], vec![was_given()]] {
            for (end, _) in endings() {
                given::<Message>(history.clone()).when(end).then_expect_error(MessageError::NoReplyAwaited);
            }
        }
    }
}
