//! `StartConversation` → `ConversationStarted`; `ChangeConversation` → `ConversationRenamed` and its like, or
//! `ConversationDeleted`.

use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError, Features};
use domain::ids::{ConversationId, UserId};
use store::{Command, StoreError, Unit};

#[derive(Debug)]
pub(crate) struct StartConversation {
    pub(crate) by: UserId,
    pub(crate) id: ConversationId,
    pub(crate) features: Features,
    /// The id follows from a key: it may have been started before.
    pub(crate) may_exist: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversationsError {
    #[error("the key was used for another request")]
    KeyReused,
    #[error("what the same request made was deleted")]
    Gone,
    #[error("it is in another version")]
    Changed,
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for StartConversation {
    const NAME: &'static str = "start_conversation";
    type Output = ();
    type Error = ConversationsError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), ConversationsError> {
        start(unit, self.by, self.id, &self.features, self.may_exist).await
    }
}

pub(super) async fn start(
    unit: &mut Unit<'_>,
    owner: UserId,
    id: ConversationId,
    features: &Features,
    may_exist: bool,
) -> Result<(), ConversationsError> {
    if may_exist {
        match unit.load_fresh::<Conversation>(id).await?.state() {
            Conversation::Unknown => {}
            Conversation::Open { started_with, .. } if started_with == features => return Ok(()),
            Conversation::Open { .. } => return Err(ConversationsError::KeyReused),
            Conversation::Deleted => return Err(ConversationsError::Gone),
        }
    }
    let start = ConversationCommand::Start { owner, features: features.clone() };
    Ok(unit.begin::<Conversation>(id).decide(start)?)
}

#[derive(Debug)]
pub(crate) struct ChangeConversation {
    pub(crate) id: ConversationId,
    pub(crate) command: ConversationCommand,
    /// Only where it still is as it was in this version.
    pub(crate) if_version: Option<i64>,
}

impl Command for ChangeConversation {
    const NAME: &'static str = "change_conversation";
    type Output = ();
    type Error = ConversationsError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), ConversationsError> {
        // Where nothing has to happen, nothing is appended, and nobody would notice that this was long past.
        let mut stream = unit.load_fresh::<Conversation>(self.id).await?;
        let version = stream.state().version();
        stream.decide(self.command.clone())?;
        // Whose it is was judged first: a version is told to its owner alone.
        if self.if_version.is_some() && self.if_version != version {
            return Err(ConversationsError::Changed);
        }
        Ok(())
    }
}
