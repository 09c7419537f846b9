//! `Start` → `ConversationStarted`, `Delete` → `ConversationDeleted`.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationCommand {
    Start {
        owner: UserId,
    },
    /// Asks whether `by` may speak here; nothing happens.
    Enter {
        by: UserId,
    },
    Delete {
        by: UserId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConversationEvent {
    ConversationStarted { owner: UserId },
    ConversationDeleted { owner: UserId },
}

events!(ConversationEvent { ConversationStarted = "1", ConversationDeleted = "1" });

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
            (Self::Unknown, ConversationCommand::Start { owner }) => {
                Ok(vec![ConversationEvent::ConversationStarted { owner }])
            }
            (Self::Open { .. } | Self::Deleted, ConversationCommand::Start { .. }) => {
                Err(ConversationError::AlreadyStarted)
            }
            (Self::Open { owner }, ConversationCommand::Enter { by }) if *owner == by => Ok(Vec::new()),
            (Self::Open { owner }, ConversationCommand::Delete { by }) if *owner == by => {
                Ok(vec![ConversationEvent::ConversationDeleted { owner: by }])
            }
            (_, ConversationCommand::Enter { .. } | ConversationCommand::Delete { .. }) => {
                Err(ConversationError::NotFound)
            }
        }
    }

    fn evolve(&mut self, event: ConversationEvent) {
        *self = match event {
            ConversationEvent::ConversationStarted { owner } => Self::Open { owner },
            ConversationEvent::ConversationDeleted { .. } => Self::Deleted,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, id};

    fn ada() -> UserId {
        id(1)
    }

    fn bob() -> UserId {
        id(2)
    }

    fn open() -> Vec<ConversationEvent> {
        vec![ConversationEvent::ConversationStarted { owner: ada() }]
    }

    fn deleted() -> Vec<ConversationEvent> {
        [open(), vec![ConversationEvent::ConversationDeleted { owner: ada() }]].concat()
    }

    #[test]
    fn anybody_starts_a_conversation() {
        given::<Conversation>(vec![])
            .when(ConversationCommand::Start { owner: ada() })
            .then_expect_events(vec![ConversationEvent::ConversationStarted { owner: ada() }]);
    }

    #[test]
    fn a_conversation_is_started_once() {
        for history in [open(), deleted()] {
            for owner in [ada(), bob()] {
                given::<Conversation>(history.clone())
                    .when(ConversationCommand::Start { owner })
                    .then_expect_error(ConversationError::AlreadyStarted);
            }
        }
    }

    #[test]
    fn its_owner_enters_and_nothing_happens() {
        given::<Conversation>(open()).when(ConversationCommand::Enter { by: ada() }).then_expect_events(vec![]);
    }

    #[test]
    fn its_owner_deletes_it() {
        given::<Conversation>(open())
            .when(ConversationCommand::Delete { by: ada() })
            .then_expect_events(vec![ConversationEvent::ConversationDeleted { owner: ada() }]);
    }

    /// Nobody may learn whether a conversation exists that is not theirs.
    #[test]
    fn never_started_foreign_and_deleted_look_the_same() {
        for (history, by) in [(vec![], ada()), (open(), bob()), (deleted(), ada()), (deleted(), bob())] {
            for command in [ConversationCommand::Enter { by }, ConversationCommand::Delete { by }] {
                given::<Conversation>(history.clone()).when(command).then_expect_error(ConversationError::NotFound);
            }
        }
    }
}
