//! `AddAttachment` → `AttachmentAdded`, `RemoveAttachment` → `AttachmentRemoved`: as long as the message is there, and is the
//! caller's, in a conversation that is there.

use domain::Timestamp;
use domain::chat::attachment::{AttachedTo, Attachment, AttachmentCommand, AttachmentError, File};
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::ids::{AttachmentId, BytesId, MessageId, UserId};
use store::{Command, StoreError, Unit};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("the key was used for another file")]
    KeyReused,
    #[error("what the same request made was removed")]
    Gone,
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
    pub(crate) kept_as: BytesId,
    /// The id follows from a key: it may have been added before.
    pub(crate) may_exist: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    At(Timestamp),
    /// The same request came before, and its bytes are kept.
    Before,
}

impl Command for AddAttachment {
    const NAME: &'static str = "add_attachment";
    type Output = Added;
    type Error = AttachError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Added, AttachError> {
        let to = place(unit, self.by, self.message).await?;
        if self.may_exist && self.came_before(unit).await? {
            return Ok(Added::Before);
        }
        let (file, kept_as) = (self.file.clone(), self.kept_as);
        unit.begin::<Attachment>(self.id).decide(AttachmentCommand::Add { to, file, kept_as })?;
        Ok(Added::At(unit.now()))
    }
}

impl AddAttachment {
    /// Whether this very file has been added already.
    async fn came_before(&self, unit: &mut Unit<'_>) -> Result<bool, AttachError> {
        match unit.load_fresh::<Attachment>(self.id).await?.state() {
            Attachment::Unknown => Ok(false),
            Attachment::Added { to, file, .. } => {
                let same = (to.message, &file.name, file.digest) == (self.message, &self.file.name, self.file.digest);
                if same { Ok(true) } else { Err(AttachError::KeyReused) }
            }
            Attachment::Removed => Err(AttachError::Gone),
        }
    }
}

#[derive(Debug)]
pub(crate) struct RemoveAttachment {
    pub(crate) id: AttachmentId,
    pub(crate) by: UserId,
}

impl Command for RemoveAttachment {
    const NAME: &'static str = "remove_attachment";
    /// Under which id its bytes are.
    type Output = BytesId;
    type Error = AttachError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<BytesId, AttachError> {
        let stream = unit.load_fresh::<Attachment>(self.id).await?;
        let Attachment::Added { to, kept_as, .. } = *stream.state() else {
            return Err(AttachmentError::NotFound.into());
        };
        place(unit, self.by, to.message).await?;
        unit.load::<Attachment>(self.id).await?.decide(AttachmentCommand::Remove { by: self.by })?;
        Ok(kept_as.unwrap_or_else(|| self.id.into()))
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
