//! `Start` → `ConversationStarted`; `Change` → `ConversationRenamed` and its like; `ChooseBranch` → `BranchChosen`; `Delete`
//! → `ConversationDeleted`.

use serde::{Deserialize, Serialize};

use super::reply::Usage;
use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::ConversationName;

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
    /// Names a conversation that its owner has not named.
    Title {
        title: ConversationName,
        model: String,
        usage: Usage,
    },
    ChooseBranch {
        by: UserId,
        through: MessageId,
    },
    Delete {
        by: UserId,
    },
}

/// What its owner gives a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// `None`: it is called by what is said in it.
    #[serde(default)]
    pub name: Option<ConversationName>,
    #[serde(default)]
    pub favourite: bool,
    #[serde(default)]
    pub archived: bool,
}

/// What is to become different; `None` leaves a feature as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<ConversationName>,
    pub favourite: Option<bool>,
    pub archived: Option<bool>,
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
    /// By a model, from what was said.
    ConversationTitled {
        owner: UserId,
        title: ConversationName,
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
    ConversationDeleted {
        owner: UserId,
    },
}

events!(ConversationEvent {
    ConversationStarted = "2",
    ConversationRenamed = "1",
    ConversationTitled = "1",
    ConversationFavourited = "1",
    ConversationUnfavourited = "1",
    ConversationArchived = "1",
    ConversationRestored = "1",
    BranchChosen = "1",
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
        is_titled: bool,
    },
    Deleted,
}

aggregate!(Conversation, "conversation", ConversationId, ConversationCommand, ConversationEvent, ConversationError);

impl Conversation {
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
                let is_needed = features.name.is_none() && !is_titled;
                let titled = ConversationEvent::ConversationTitled { owner: *owner, title, model, usage };
                Ok(is_needed.then_some(titled).into_iter().collect())
            }
            (Self::Open { owner, .. }, ConversationCommand::ChooseBranch { by, through }) if *owner == by => {
                Ok(vec![ConversationEvent::BranchChosen { owner: by, through }])
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
                | ConversationCommand::Delete { .. },
            ) => Err(ConversationError::NotFound),
        }
    }

    fn evolve(&mut self, event: ConversationEvent) {
        *self = match (std::mem::take(self), event) {
            (_, ConversationEvent::ConversationStarted { owner, features }) => {
                Self::Open { owner, features: features.clone(), started_with: features, is_titled: false }
            }
            (_, ConversationEvent::ConversationDeleted { .. }) | (Self::Deleted, _) => Self::Deleted,
            (Self::Unknown, _) => Self::Unknown,
            (Self::Open { owner, features, started_with, is_titled }, event) => {
                let is_titled = is_titled || matches!(event, ConversationEvent::ConversationTitled { .. });
                Self::Open { owner, features: features.after(event), started_with, is_titled }
            }
        };
    }
}

impl Changes {
    /// What has to happen where a conversation has these features already.
    fn events(self, owner: UserId, had: &Features) -> Vec<ConversationEvent> {
        let name = self.name.filter(|name| had.name.as_ref() != Some(name));
        let renamed = name.map(|name| ConversationEvent::ConversationRenamed { owner, name });
        let favourited = self.favourite.filter(|favourite| *favourite != had.favourite).map(|favourite| {
            if favourite {
                ConversationEvent::ConversationFavourited { owner }
            } else {
                ConversationEvent::ConversationUnfavourited { owner }
            }
        });
        let archived = self.archived.filter(|archived| *archived != had.archived).map(|archived| {
            if archived {
                ConversationEvent::ConversationArchived { owner }
            } else {
                ConversationEvent::ConversationRestored { owner }
            }
        });
        [renamed, favourited, archived].into_iter().flatten().collect()
    }
}

impl Features {
    fn after(self, event: ConversationEvent) -> Self {
        match event {
            ConversationEvent::ConversationStarted { features, .. } => features,
            ConversationEvent::ConversationRenamed { name, .. } => Self { name: Some(name), ..self },
            ConversationEvent::ConversationFavourited { .. } => Self { favourite: true, ..self },
            ConversationEvent::ConversationUnfavourited { .. } => Self { favourite: false, ..self },
            ConversationEvent::ConversationArchived { .. } => Self { archived: true, ..self },
            ConversationEvent::ConversationRestored { .. } => Self { archived: false, ..self },
            ConversationEvent::ConversationTitled { .. }
            | ConversationEvent::BranchChosen { .. }
            | ConversationEvent::ConversationDeleted { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests;
