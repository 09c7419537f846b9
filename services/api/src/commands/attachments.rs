//! `AddAttachment` → `AttachmentAdded`, `RemoveAttachment` → `AttachmentRemoved`: as long as the message is there, and is the
//! caller's, in a conversation that is there.

use domain::Timestamp;
use domain::chat::attachment::{AttachedTo, Attachment, AttachmentCommand, AttachmentError, File};
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::ids::{AttachmentId, MessageId, UserId};
use store::{Command, StoreError, Unit};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub(crate) struct AddAttachment {
    pub(crate) id: AttachmentId,
    pub(crate) by: UserId,
    pub(crate) message: MessageId,
    pub(crate) file: File,
}

impl Command for AddAttachment {
    const NAME: &'static str = "add_attachment";
    type Output = Timestamp;
    type Error = AttachError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Timestamp, AttachError> {
        let (to, file) = (place(unit, self.by, self.message).await?, self.file.clone());
        unit.begin::<Attachment>(self.id).decide(AttachmentCommand::Add { to, file })?;
        Ok(unit.now())
    }
}

#[derive(Debug)]
pub(crate) struct RemoveAttachment {
    pub(crate) id: AttachmentId,
    pub(crate) by: UserId,
}

impl Command for RemoveAttachment {
    const NAME: &'static str = "remove_attachment";
    type Output = ();
    type Error = AttachError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), AttachError> {
        let to = unit.load_fresh::<Attachment>(self.id).await?.state().place().ok_or(AttachmentError::NotFound)?;
        place(unit, self.by, to.message).await?;
        unit.load::<Attachment>(self.id).await?.decide(AttachmentCommand::Remove { by: self.by })?;
        Ok(())
    }
}

/// Where a message stands that is the caller's; nothing happens, but that it stays so is part of what is appended.
async fn place(unit: &mut Unit<'_>, by: UserId, message: MessageId) -> Result<AttachedTo, AttachError> {
    let mut stream = unit.load::<Message>(message).await?;
    let (conversation, owner) = stream.state().place().ok_or(MessageError::NotFound)?;
    stream.decide(MessageCommand::Find { by, conversation })?;
    unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by })?;
    Ok(AttachedTo { owner, conversation, message })
}
