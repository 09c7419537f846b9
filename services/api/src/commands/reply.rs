//! `StopReply` → `ReplyStopped`, where nobody makes it; `RetryReply` → `ReplyRequested` once more.

use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::reply::{Ending, Said, Usage};
use domain::ids::{MessageId, UserId};
use store::{Command, StoreError, Unit};
use uuid::Uuid;

/// Ends a reply that nobody answers for, with what was heard of it.
#[derive(Debug)]
pub(crate) struct StopReply {
    pub(crate) reply: MessageId,
    pub(crate) heard: String,
}

impl Command for StopReply {
    const NAME: &'static str = "stop_reply";
    type Output = ();
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), StoreError> {
        let mut stream = unit.load_fresh::<Message>(self.reply).await?;
        let Message::Awaited { asked, .. } = stream.state().clone() else { return Ok(()) };
        let completion_tokens = replies::tokens(&self.heard);
        let usage = Usage { completion_tokens, estimated: !self.heard.is_empty(), ..Usage::default() };
        let said = Said { text: self.heard.clone(), model: asked.model, usage };
        // It may have ended meanwhile, and that is as good.
        let _ = stream.decide(MessageCommand::EndReply { said, ending: Ending::Stopped });
        Ok(())
    }
}

/// Asks once more for a reply that is not complete. Asked twice it is the same new reply.
#[derive(Debug)]
pub(crate) struct RetryReply {
    pub(crate) by: UserId,
    pub(crate) reply: MessageId,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryError {
    #[error("it was never asked for, or has not ended")]
    NothingToRetry,
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for RetryReply {
    const NAME: &'static str = "retry_reply";
    /// The new reply.
    type Output = MessageId;
    type Error = RetryError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<MessageId, RetryError> {
        let before = unit.load_fresh::<Message>(self.reply).await?.state().clone();
        let Message::Replied { reply, asked: Some(asked) } = before else { return Err(RetryError::NothingToRetry) };
        unit.load::<Conversation>(reply.conversation).await?.decide(ConversationCommand::Enter { by: self.by })?;
        let retried = MessageId::from(Uuid::new_v5(&Uuid::from(self.reply), b"retry"));
        let mut stream = unit.load_fresh::<Message>(retried).await?;
        if matches!(stream.state(), Message::Unknown) {
            stream.decide(MessageCommand::RequestReply { reply, asked })?;
        }
        Ok(retried)
    }
}
