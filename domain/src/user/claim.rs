//! `Claim` → `Claimed`, `Release` → `Released`: a user name or an email is taken exactly when its stream says so.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ClaimId, ClaimKind, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimCommand {
    Claim { kind: ClaimKind, by: UserId },
    Release { by: UserId },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimEvent {
    Claimed { kind: ClaimKind, by: UserId },
    Released { by: UserId },
}

events!(ClaimEvent { Claimed = "1", Released = "1" });

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("somebody else has it")]
    Taken(ClaimKind),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    #[default]
    Free,
    Held {
        by: UserId,
    },
}

aggregate!(Claim, "claim", ClaimId, ClaimCommand, ClaimEvent, ClaimError);

impl Claim {
    fn decide(&self, command: ClaimCommand, _now: Timestamp) -> Result<Vec<ClaimEvent>, ClaimError> {
        match (self, command) {
            (Self::Free, ClaimCommand::Claim { kind, by }) => Ok(vec![ClaimEvent::Claimed { kind, by }]),
            (Self::Held { by: holder }, ClaimCommand::Claim { by, .. }) if *holder == by => Ok(Vec::new()),
            (Self::Held { .. }, ClaimCommand::Claim { kind, .. }) => Err(ClaimError::Taken(kind)),
            (Self::Held { by: holder }, ClaimCommand::Release { by }) if *holder == by => {
                Ok(vec![ClaimEvent::Released { by }])
            }
            (Self::Free | Self::Held { .. }, ClaimCommand::Release { .. }) => Ok(Vec::new()),
        }
    }

    fn evolve(&mut self, event: ClaimEvent) {
        match event {
            ClaimEvent::Claimed { by, .. } => *self = Self::Held { by },
            ClaimEvent::Released { .. } => *self = Self::Free,
        }
    }

    #[must_use]
    pub const fn holder(&self) -> Option<UserId> {
        match self {
            Self::Free => None,
            Self::Held { by } => Some(*by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, id};

    const KINDS: [ClaimKind; 2] = [ClaimKind::Username, ClaimKind::Email];

    fn ada() -> UserId {
        id(1)
    }

    fn bob() -> UserId {
        id(2)
    }

    #[test]
    fn what_is_free_can_be_claimed() {
        for kind in KINDS {
            given::<Claim>(vec![])
                .when(ClaimCommand::Claim { kind, by: ada() })
                .then_expect_events(vec![ClaimEvent::Claimed { kind, by: ada() }]);
        }
    }

    #[test]
    fn its_holder_claims_it_again_and_nothing_happens() {
        for kind in KINDS {
            given::<Claim>(vec![ClaimEvent::Claimed { kind, by: ada() }])
                .when(ClaimCommand::Claim { kind, by: ada() })
                .then_expect_events(vec![]);
        }
    }

    #[test]
    fn what_is_held_is_refused_to_others() {
        for kind in KINDS {
            given::<Claim>(vec![ClaimEvent::Claimed { kind, by: ada() }])
                .when(ClaimCommand::Claim { kind, by: bob() })
                .then_expect_error(ClaimError::Taken(kind));
        }
    }

    #[test]
    fn only_its_holder_releases_it_and_then_it_is_free() {
        let claimed = ClaimEvent::Claimed { kind: ClaimKind::Email, by: ada() };
        let released = ClaimEvent::Released { by: ada() };
        given::<Claim>(vec![claimed.clone()])
            .when(ClaimCommand::Release { by: ada() })
            .then_expect_events(vec![released.clone()]);
        given::<Claim>(vec![claimed.clone()]).when(ClaimCommand::Release { by: bob() }).then_expect_events(vec![]);
        given::<Claim>(vec![]).when(ClaimCommand::Release { by: ada() }).then_expect_events(vec![]);
        given::<Claim>(vec![claimed, released])
            .when(ClaimCommand::Claim { kind: ClaimKind::Email, by: bob() })
            .then_expect_events(vec![ClaimEvent::Claimed { kind: ClaimKind::Email, by: bob() }]);
    }

    #[test]
    fn the_holder_is_who_claimed_it() {
        let mut claim = Claim::default();
        assert_eq!(claim.holder(), None);
        claim.evolve(ClaimEvent::Claimed { kind: ClaimKind::Email, by: ada() });
        assert_eq!(claim.holder(), Some(ada()));
    }
}
