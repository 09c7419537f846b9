//! `ChooseBranch` → `BranchChosen`: where a conversation goes on.

use std::time::Duration;

use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::ids::{ConversationId, MessageId, UserId};
use projections::history;
use store::{Command, Log, ReadModel, StoreError, Unit};

/// Where its client believes a conversation to be. Of two commands that rest on the same belief one is told that it is wrong.
#[derive(Debug)]
pub(crate) struct IfLeaf {
    pub(crate) leaf: MessageId,
    pub(crate) history: ReadModel,
    pub(crate) log: Log,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BranchError {
    #[error("the conversation has moved on")]
    Stale,
    #[error("the history lags behind")]
    Lagging,
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long the history may take to show what the log has.
const PATIENCE: Duration = Duration::from_secs(2);

impl IfLeaf {
    /// Lets a conversation go on at `through`, if it is still where it was believed to be. The conversation was loaded before:
    /// who chooses between then and the append makes this command run again.
    pub(super) async fn choose(
        &self,
        unit: &mut Unit<'_>,
        conversation: ConversationId,
        by: UserId,
        through: MessageId,
    ) -> Result<(), BranchError> {
        let mut stream = unit.load::<Conversation>(conversation).await?;
        if !self.history.wait_for(self.log.head().await?, PATIENCE).await? {
            return Err(BranchError::Lagging);
        }
        let row = history::conversation(self.history.db(), by, conversation).await?;
        if row.and_then(|row| row.leaf) != Some(self.leaf) {
            return Err(BranchError::Stale);
        }
        Ok(stream.decide(ConversationCommand::ChooseBranch { by, through })?)
    }
}

/// Goes on below `through`, by the way that was last gone there.
#[derive(Debug)]
pub(crate) struct ChooseBranch {
    pub(crate) by: UserId,
    pub(crate) conversation: ConversationId,
    pub(crate) through: MessageId,
    pub(crate) if_leaf: Option<IfLeaf>,
}

impl Command for ChooseBranch {
    const NAME: &'static str = "choose_branch";
    type Output = ();
    type Error = BranchError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), BranchError> {
        let Self { by, conversation, through, if_leaf } = self;
        let (by, conversation, through) = (*by, *conversation, *through);
        unit.load_fresh::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by })?;
        unit.load_fresh::<Message>(through).await?.decide(MessageCommand::Find { by, conversation })?;
        if let Some(expected) = if_leaf {
            return expected.choose(unit, conversation, by, through).await;
        }
        let mut stream = unit.load::<Conversation>(conversation).await?;
        Ok(stream.decide(ConversationCommand::ChooseBranch { by, through })?)
    }
}
