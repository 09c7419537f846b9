//! `PostMessage` → `MessagePosted`, `ReplyRequested`, `ReplyCompleted`: a turn is one append.

use domain::Timestamp;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError, Usage};
use domain::chat::rules;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use store::{Command, StoreError, Unit, fresh_id};

#[derive(Debug)]
pub(crate) struct PostMessage {
    pub(crate) by: UserId,
    /// `None` begins a new conversation.
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) body: MessageBody,
}

/// A message and the reply to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) conversation: ConversationId,
    pub(crate) message: MessageId,
    pub(crate) reply: MessageId,
    pub(crate) text: String,
    pub(crate) model: String,
    pub(crate) usage: Usage,
    pub(crate) at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for PostMessage {
    const NAME: &'static str = "post_message";
    type Output = Turn;
    type Error = PostError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Turn, PostError> {
        let conversation = self.enter(unit).await?;
        let (owner, message, reply) = (self.by, fresh_id(), fresh_id());
        let body = self.body.clone();
        unit.begin::<Message>(message).decide(MessageCommand::Post { conversation, owner, body })?;

        let (text, model, usage) = (rules::answer(&self.body), rules::MODEL.to_owned(), Usage::default());
        let mut stream = unit.begin::<Message>(reply);
        stream.decide(MessageCommand::RequestReply { conversation, owner, to: message, model: model.clone() })?;
        stream.decide(MessageCommand::CompleteReply { text: text.clone(), model: model.clone(), usage })?;
        Ok(Turn { conversation, message, reply, text, model, usage, at: unit.now() })
    }
}

impl PostMessage {
    async fn enter(&self, unit: &mut Unit<'_>) -> Result<ConversationId, PostError> {
        let Some(id) = self.conversation else {
            let id = fresh_id();
            unit.begin::<Conversation>(id).decide(ConversationCommand::Start { owner: self.by })?;
            return Ok(id);
        };
        unit.load::<Conversation>(id).await?.decide(ConversationCommand::Enter { by: self.by })?;
        Ok(id)
    }
}
