//! `Start` → `ConversationStarted`; `Change` → `ConversationRenamed` and its like; `ChooseBranch` → `BranchChosen`; `Import` →
//! `ConversationImported`; `Delete` → `ConversationDeleted`.

mod features;

use serde::{Deserialize, Serialize};

use super::import::Kept;
use super::reply::Usage;
use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::{ConversationName, Digest};
pub use features::{Changes, Features, Naming};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationCommand {
    Start {
        owner: UserId,
        features: Features,
    },
    /// Asks whether `by` may speak here; nothing happens.
    Enter {
        by: UserId,
    },
    Change {
        by: UserId,
        wanted: Changes,
    },
    /// Names a conversation that its owner has not named; where a model was asked in vain, it is told what that took.
    Title {
        title: Option<ConversationName>,
        model: String,
        usage: Usage,
    },
    ChooseBranch {
        by: UserId,
        through: MessageId,
    },
    /// All that was said in it elsewhere is here now.
    Import {
        by: UserId,
        kept: Kept,
    },
    Delete {
        by: UserId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConversationEvent {
    /// In version 1 a conversation had no features.
    ConversationStarted {
        owner: UserId,
        #[serde(flatten)]
        features: Features,
    },
    ConversationRenamed {
        owner: UserId,
        name: ConversationName,
    },
    /// It is called by what is said in it again.
    ConversationUnnamed {
        owner: UserId,
    },
    /// By a model, from what was said.
    ConversationTitled {
        owner: UserId,
        title: ConversationName,
        model: String,
        usage: Usage,
    },
    /// A model was asked for a title that came to nothing, or too late.
    TitleWasted {
        owner: UserId,
        model: String,
        usage: Usage,
    },
    ConversationFavourited {
        owner: UserId,
    },
    ConversationUnfavourited {
        owner: UserId,
    },
    ConversationArchived {
        owner: UserId,
    },
    ConversationRestored {
        owner: UserId,
    },
    /// The conversation goes on below this message, by the way that was last gone there.
    BranchChosen {
        owner: UserId,
        through: MessageId,
    },
    ConversationImported {
        owner: UserId,
        #[serde(flatten)]
        kept: Kept,
    },
    ConversationDeleted {
        owner: UserId,
    },
}

events!(ConversationEvent {
    ConversationStarted = "2",
    ConversationRenamed = "1",
    ConversationUnnamed = "1",
    ConversationTitled = "1",
    TitleWasted = "1",
    ConversationFavourited = "1",
    ConversationUnfavourited = "1",
    ConversationArchived = "1",
    ConversationRestored = "1",
    BranchChosen = "1",
    ConversationImported = "1",
    ConversationDeleted = "1",
});

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversationError {
    #[error("the conversation was started already")]
    AlreadyStarted,
    /// Foreign, deleted, or never started: one answer for all three.
    #[error("there is no such conversation")]
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conversation {
    #[default]
    Unknown,
    Open {
        owner: UserId,
        features: Features,
        /// What it had when it was new.
        started_with: Features,
        /// How many events have made its features what they are.
        version: i64,
        is_titled: bool,
        /// What came in from elsewhere, where all of it is here.
        imported: Option<Digest>,
    },
    Deleted,
}

aggregate!(Conversation, "conversation", ConversationId, ConversationCommand, ConversationEvent, ConversationError);

impl Conversation {
    /// How often its owner has made something of it; `None` where it is not there.
    #[must_use]
    pub const fn version(&self) -> Option<i64> {
        match self {
            Self::Open { version, .. } => Some(*version),
            Self::Unknown | Self::Deleted => None,
        }
    }

    fn decide(
        &self,
        command: ConversationCommand,
        _now: Timestamp,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        match (self, command) {
            (Self::Unknown, ConversationCommand::Start { owner, features }) => {
                Ok(vec![ConversationEvent::ConversationStarted { owner, features }])
            }
            (Self::Open { .. } | Self::Deleted, ConversationCommand::Start { .. }) => {
                Err(ConversationError::AlreadyStarted)
            }
            (Self::Open { owner, .. }, ConversationCommand::Enter { by }) if *owner == by => Ok(Vec::new()),
            (Self::Open { owner, features, .. }, ConversationCommand::Change { by, wanted }) if *owner == by => {
                Ok(wanted.events(by, features))
            }
            (Self::Open { owner, features, is_titled, .. }, ConversationCommand::Title { title, model, usage }) => {
                let (owner, is_needed) = (*owner, features.name.is_none() && !is_titled);
                Ok(vec![match title.filter(|_| is_needed) {
                    Some(title) => ConversationEvent::ConversationTitled { owner, title, model, usage },
                    None => ConversationEvent::TitleWasted { owner, model, usage },
                }])
            }
            (Self::Open { owner, .. }, ConversationCommand::ChooseBranch { by, through }) if *owner == by => {
                Ok(vec![ConversationEvent::BranchChosen { owner: by, through }])
            }
            (Self::Open { owner, imported, .. }, ConversationCommand::Import { by, kept }) if *owner == by => {
                let event = ConversationEvent::ConversationImported { owner: by, kept };
                Ok(imported.is_none().then_some(event).into_iter().collect())
            }
            (Self::Open { owner, .. }, ConversationCommand::Delete { by }) if *owner == by => {
                Ok(vec![ConversationEvent::ConversationDeleted { owner: by }])
            }
            (
                _,
                ConversationCommand::Enter { .. }
                | ConversationCommand::Change { .. }
                | ConversationCommand::Title { .. }
                | ConversationCommand::ChooseBranch { .. }
                | ConversationCommand::Import { .. }
                | ConversationCommand::Delete { .. },
            ) => Err(ConversationError::NotFound),
        }
    }

    fn evolve(&mut self, event: ConversationEvent) {
        *self = match (std::mem::take(self), event) {
            (_, ConversationEvent::ConversationStarted { owner, features }) => {
                let started_with = features.clone();
                Self::Open { owner, features, started_with, version: 1, is_titled: false, imported: None }
            }
            (_, ConversationEvent::ConversationDeleted { .. }) | (Self::Deleted, _) => Self::Deleted,
            (Self::Unknown, _) => Self::Unknown,
            (Self::Open { owner, features, started_with, version, is_titled, imported }, event) => {
                let version = version + i64::from(event.is_change());
                let came = if let ConversationEvent::ConversationImported { kept, .. } = &event {
                    Some(kept.digest)
                } else {
                    None
                };
                let imported = imported.or(came);
                let is_titled =
                    is_titled || imported.is_some() || matches!(event, ConversationEvent::ConversationTitled { .. });
                Self::Open { owner, features: features.after(event), started_with, version, is_titled, imported }
            }
        };
    }
}

impl ConversationEvent {
    /// Whether its owner has changed a feature. What is said in it, and what follows from that, is no change of these.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        match self {
            Self::ConversationRenamed { .. }
            | Self::ConversationUnnamed { .. }
            | Self::ConversationFavourited { .. }
            | Self::ConversationUnfavourited { .. }
            | Self::ConversationArchived { .. }
            | Self::ConversationRestored { .. } => true,
            Self::ConversationStarted { .. }
            | Self::ConversationTitled { .. }
            | Self::TitleWasted { .. }
            | Self::BranchChosen { .. }
            | Self::ConversationImported { .. }
            | Self::ConversationDeleted { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
