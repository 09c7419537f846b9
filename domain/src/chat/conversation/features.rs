//! `Changes` of `Features` → `ConversationRenamed` and its like: what its owner makes of a conversation.

use serde::{Deserialize, Serialize};

use super::ConversationEvent;
use crate::ids::UserId;
use crate::values::ConversationName;

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
    pub name: Naming,
    pub favourite: Option<bool>,
    pub archived: Option<bool>,
}

/// What a conversation is to be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Naming {
    /// As it is now.
    #[default]
    Kept,
    To(ConversationName),
    /// By what is said in it.
    TakenBack,
}

impl Changes {
    /// What has to happen where a conversation has these features already.
    pub(super) fn events(self, owner: UserId, had: &Features) -> Vec<ConversationEvent> {
        let named = match self.name {
            Naming::To(name) if had.name.as_ref() != Some(&name) => {
                Some(ConversationEvent::ConversationRenamed { owner, name })
            }
            Naming::TakenBack if had.name.is_some() => Some(ConversationEvent::ConversationUnnamed { owner }),
            Naming::Kept | Naming::To(_) | Naming::TakenBack => None,
        };
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
        [named, favourited, archived].into_iter().flatten().collect()
    }
}

impl Features {
    pub(super) fn after(self, event: ConversationEvent) -> Self {
        match event {
            ConversationEvent::ConversationStarted { features, .. } => features,
            ConversationEvent::ConversationRenamed { name, .. } => Self { name: Some(name), ..self },
            ConversationEvent::ConversationUnnamed { .. } => Self { name: None, ..self },
            ConversationEvent::ConversationFavourited { .. } => Self { favourite: true, ..self },
            ConversationEvent::ConversationUnfavourited { .. } => Self { favourite: false, ..self },
            ConversationEvent::ConversationArchived { .. } => Self { archived: true, ..self },
            ConversationEvent::ConversationRestored { .. } => Self { archived: false, ..self },
            ConversationEvent::ConversationTitled { .. }
            | ConversationEvent::TitleWasted { .. }
            | ConversationEvent::BranchChosen { .. }
            | ConversationEvent::ConversationImported { .. }
            | ConversationEvent::ConversationDeleted { .. } => self,
        }
    }
}
