//! `ClearHistory` → `ConversationDeleted` for each: some conversations of one owner.

use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::ids::{ConversationId, UserId};
use store::{Command, StoreError, Unit};

#[derive(Debug)]
pub(crate) struct ClearHistory {
    pub(crate) by: UserId,
    pub(crate) conversations: Vec<ConversationId>,
}

impl Command for ClearHistory {
    const NAME: &'static str = "clear_history";
    /// Those that this command deleted: who else clears at the same time deletes the others.
    type Output = Vec<ConversationId>;
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Vec<ConversationId>, StoreError> {
        let mut deleted = Vec::with_capacity(self.conversations.len());
        for id in &self.conversations {
            let mut conversation = unit.load::<Conversation>(*id).await?;
            match conversation.decide(ConversationCommand::Delete { by: self.by }) {
                Ok(()) => deleted.push(*id),
                Err(ConversationError::NotFound | ConversationError::AlreadyStarted) => {}
            }
        }
        Ok(deleted)
    }
}
