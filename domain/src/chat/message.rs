//! `Post` → `MessagePosted`; `RequestReply` → `ReplyRequested` → `ReplyCompleted`: a turn is two of these streams.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::MessageBody;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageCommand {
    Post { conversation: ConversationId, owner: UserId, body: MessageBody },
    RequestReply { conversation: ConversationId, owner: UserId, to: MessageId, model: String },
    CompleteReply { text: String, model: String, usage: Usage },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageEvent {
    MessagePosted { conversation: ConversationId, owner: UserId, body: MessageBody },
    ReplyRequested { conversation: ConversationId, owner: UserId, to: MessageId, model: String },
    ReplyCompleted { text: String, model: String, usage: Usage },
}

events!(MessageEvent { MessagePosted = "1", ReplyRequested = "1", ReplyCompleted = "1" });

/// What a reply cost, in the model's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
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
    Posted,
    Awaited,
    Replied,
}

aggregate!(Message, "message", MessageId, MessageCommand, MessageEvent, MessageError);

impl Message {
    fn decide(&self, command: MessageCommand, _now: Timestamp) -> Result<Vec<MessageEvent>, MessageError> {
        match (self, command) {
            (Self::Unknown, MessageCommand::Post { conversation, owner, body }) => {
                Ok(vec![MessageEvent::MessagePosted { conversation, owner, body }])
            }
            (Self::Unknown, MessageCommand::RequestReply { conversation, owner, to, model }) => {
                Ok(vec![MessageEvent::ReplyRequested { conversation, owner, to, model }])
            }
            (Self::Awaited, MessageCommand::CompleteReply { text, model, usage }) => {
                Ok(vec![MessageEvent::ReplyCompleted { text, model, usage }])
            }
            (_, MessageCommand::Post { .. } | MessageCommand::RequestReply { .. }) => Err(MessageError::AlreadyExists),
            (_, MessageCommand::CompleteReply { .. }) => Err(MessageError::NoReplyAwaited),
        }
    }

    fn evolve(&mut self, event: MessageEvent) {
        *self = match event {
            MessageEvent::MessagePosted { .. } => Self::Posted,
            MessageEvent::ReplyRequested { .. } => Self::Awaited,
            MessageEvent::ReplyCompleted { .. } => Self::Replied,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, id, parsed};

    const USAGE: Usage = Usage { prompt_tokens: 3, completion_tokens: 5 };

    fn post() -> MessageCommand {
        MessageCommand::Post { conversation: id(1), owner: id(2), body: parsed(" hello ") }
    }

    fn posted() -> MessageEvent {
        MessageEvent::MessagePosted { conversation: id(1), owner: id(2), body: parsed(" hello ") }
    }

    fn request() -> MessageCommand {
        MessageCommand::RequestReply { conversation: id(1), owner: id(2), to: id(3), model: "rules".to_owned() }
    }

    fn requested() -> MessageEvent {
        MessageEvent::ReplyRequested { conversation: id(1), owner: id(2), to: id(3), model: "rules".to_owned() }
    }

    fn complete() -> MessageCommand {
        MessageCommand::CompleteReply { text: "Hello!".to_owned(), model: "rules".to_owned(), usage: USAGE }
    }

    fn completed() -> MessageEvent {
        MessageEvent::ReplyCompleted { text: "Hello!".to_owned(), model: "rules".to_owned(), usage: USAGE }
    }

    #[test]
    fn a_message_is_posted() {
        given::<Message>(vec![]).when(post()).then_expect_events(vec![posted()]);
    }

    #[test]
    fn a_reply_is_requested() {
        given::<Message>(vec![]).when(request()).then_expect_events(vec![requested()]);
    }

    #[test]
    fn a_requested_reply_is_completed() {
        given::<Message>(vec![requested()]).when(complete()).then_expect_events(vec![completed()]);
    }

    #[test]
    fn a_stream_is_one_message_or_one_reply() {
        for history in [vec![posted()], vec![requested()], vec![requested(), completed()]] {
            for command in [post(), request()] {
                given::<Message>(history.clone()).when(command).then_expect_error(MessageError::AlreadyExists);
            }
        }
    }

    #[test]
    fn only_an_awaited_reply_is_completed() {
        for history in [vec![], vec![posted()], vec![requested(), completed()]] {
            given::<Message>(history).when(complete()).then_expect_error(MessageError::NoReplyAwaited);
        }
    }
}
