//! `ChangeMessage` → `MessageRated`, `MessageEmbedded` or `MessageDeleted`: what becomes of a message that is there.

use domain::chat::conversation::{Conversation, ConversationCommand};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::ids::{MessageId, UserId};
use store::{Command, StoreError, Unit};

#[derive(Debug)]
pub(crate) struct ChangeMessage {
    pub(crate) by: UserId,
    pub(crate) id: MessageId,
    pub(crate) command: MessageCommand,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeMessageError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for ChangeMessage {
    const NAME: &'static str = "change_message";
    type Output = ();
    type Error = ChangeMessageError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), ChangeMessageError> {
        let mut stream = unit.load_fresh::<Message>(self.id).await?;
        let (conversation, _) = stream.state().place().ok_or(MessageError::NotFound)?;
        stream.decide(self.command.clone())?;
        // A conversation takes its messages along.
        let entered = unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by: self.by });
        entered.map_err(|_| MessageError::NotFound.into())
    }
}
