//! `Import` → `ConversationStarted`, `MessageImported`, `BranchChosen`, `ConversationImported`: what was kept elsewhere comes in,
//! some steps at a time.

use domain::chat::conversation::{Conversation, ConversationCommand, Features};
use domain::chat::import::{Imported, Kept};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::place::After;
use domain::ids::{ConversationId, MessageId, UserId};
use store::{Command, Unit};

use super::conversations::{ConversationsError, start};

/// One after the other, and each conversation's from its start to its end.
#[derive(Debug)]
pub(crate) enum ImportStep {
    Start { conversation: ConversationId, features: Features },
    Message { id: MessageId, message: Box<Imported> },
    Choose { conversation: ConversationId, through: MessageId },
    Finish { conversation: ConversationId, kept: Kept },
}

/// Some steps. Taken again they come to nothing, where their ids say that they may have been taken before.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) by: UserId,
    pub(crate) steps: Vec<ImportStep>,
    pub(crate) may_exist: bool,
}

impl Command for Import {
    const NAME: &'static str = "import";
    type Output = ();
    type Error = ConversationsError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), ConversationsError> {
        for step in &self.steps {
            self.take(unit, step).await?;
        }
        Ok(())
    }
}

impl Import {
    async fn take(&self, unit: &mut Unit<'_>, step: &ImportStep) -> Result<(), ConversationsError> {
        let (by, may_exist) = (self.by, self.may_exist);
        match step {
            ImportStep::Start { conversation, features } => start(unit, by, *conversation, features, may_exist).await,
            ImportStep::Message { id, message } => self.message(unit, *id, message).await,
            ImportStep::Choose { conversation, through } => {
                let mut stream = unit.load::<Conversation>(*conversation).await?;
                if let Conversation::Open { imported: Some(_), .. } = stream.state() {
                    return Ok(());
                }
                Ok(stream.decide(ConversationCommand::ChooseBranch { by, through: *through })?)
            }
            ImportStep::Finish { conversation, kept } => {
                let mut stream = unit.load::<Conversation>(*conversation).await?;
                Ok(stream.decide(ConversationCommand::Import { by, kept: kept.clone() })?)
            }
        }
    }

    async fn message(&self, unit: &mut Unit<'_>, id: MessageId, message: &Imported) -> Result<(), ConversationsError> {
        let (by, conversation) = (self.by, message.conversation);
        unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by })?;
        if self.may_exist && *unit.load_fresh::<Message>(id).await?.state() != Message::Unknown {
            return Ok(());
        }
        // What it follows came before it, and may have been deleted since.
        if let After::Message(parent) = message.after {
            let found = unit.load::<Message>(parent).await?.decide(MessageCommand::Find { by, conversation });
            found.map_err(gone)?;
        }
        let imported = unit.begin::<Message>(id).decide(MessageCommand::Import(message.clone()));
        imported.map_err(gone)
    }
}

fn gone(error: MessageError) -> ConversationsError {
    match error {
        MessageError::AlreadyExists | MessageError::NoReplyAwaited | MessageError::NotFound => ConversationsError::Gone,
    }
}
