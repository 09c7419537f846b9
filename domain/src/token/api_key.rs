//! `Create`, `Rotate`, `Revoke`: a key with which a program acts in its user's name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{ApiKeyId, UserId};
use crate::values::{Digest, KeyName, Scope};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyCommand {
    /// The same secret once more is the same command once more.
    Create(NewKey),
    /// A new secret; the old one is good for a while. The one that it has is no new one.
    Rotate {
        by: UserId,
        digest: Digest,
        overlap_seconds: u32,
    },
    Revoke {
        by: UserId,
    },
}

/// A key as it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    pub user: UserId,
    pub name: KeyName,
    pub digest: Digest,
    pub scopes: BTreeSet<Scope>,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKeyEvent {
    ApiKeyCreated(NewKey),
    ApiKeyRotated { user: UserId, digest: Digest, old_until: Timestamp },
    ApiKeyRevoked { user: UserId },
}

events!(ApiKeyEvent { ApiKeyCreated = "1", ApiKeyRotated = "1", ApiKeyRevoked = "1" });

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    #[error("the key was created already")]
    AlreadyCreated,
    /// It has another secret by now, or none.
    #[error("the secret was the key's, and is so no more")]
    Replaced,
    /// Nor is it for who does not own it.
    #[error("there is no such key")]
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKey {
    #[default]
    Unknown,
    Active {
        key: NewKey,
        /// All secrets before this one, none of which comes again; and until when the last of them is good, as each was.
        former: Vec<(Digest, Timestamp)>,
    },
    Revoked {
        user: UserId,
    },
}

aggregate!(ApiKey, "api_key", ApiKeyId, ApiKeyCommand, ApiKeyEvent, ApiKeyError);

impl ApiKey {
    fn decide(&self, command: ApiKeyCommand, now: Timestamp) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        match (self, command) {
            (Self::Unknown, ApiKeyCommand::Create(key)) => Ok(vec![ApiKeyEvent::ApiKeyCreated(key)]),
            (Self::Active { key, former }, ApiKeyCommand::Create(new)) if key.user == new.user => {
                if has(key, former, new.digest)? { Ok(Vec::new()) } else { Err(ApiKeyError::AlreadyCreated) }
            }
            (Self::Revoked { user }, ApiKeyCommand::Create(new)) if *user == new.user => Err(ApiKeyError::Replaced),
            (Self::Active { .. } | Self::Revoked { .. }, ApiKeyCommand::Create(_)) => Err(ApiKeyError::AlreadyCreated),
            (Self::Active { key, former }, ApiKeyCommand::Rotate { by, digest, overlap_seconds }) if key.user == by => {
                if has(key, former, digest)? {
                    return Ok(Vec::new());
                }
                let old_until = now.plus_seconds(overlap_seconds.into());
                Ok(vec![ApiKeyEvent::ApiKeyRotated { user: by, digest, old_until }])
            }
            (Self::Active { key, .. }, ApiKeyCommand::Revoke { by }) if key.user == by => {
                Ok(vec![ApiKeyEvent::ApiKeyRevoked { user: by }])
            }
            (Self::Revoked { user }, ApiKeyCommand::Revoke { by }) if *user == by => Ok(Vec::new()),
            (_, ApiKeyCommand::Rotate { .. } | ApiKeyCommand::Revoke { .. }) => Err(ApiKeyError::NotFound),
        }
    }

    fn evolve(&mut self, event: ApiKeyEvent) {
        match (event, self) {
            (ApiKeyEvent::ApiKeyCreated(key), state) => *state = Self::Active { key, former: Vec::new() },
            (ApiKeyEvent::ApiKeyRotated { digest, old_until, user: _ }, Self::Active { key, former }) => {
                former.push((std::mem::replace(&mut key.digest, digest), old_until));
            }
            (ApiKeyEvent::ApiKeyRotated { .. }, Self::Unknown | Self::Revoked { .. }) => {}
            (ApiKeyEvent::ApiKeyRevoked { user }, state) => *state = Self::Revoked { user },
        }
    }

    /// The key, if there is one that is good now and has this secret.
    #[must_use]
    pub fn with_secret(&self, digest: Digest, now: Timestamp) -> Option<&NewKey> {
        let Self::Active { key, former } = self else { return None };
        let in_time = key.expires_at.is_none_or(|end| now < end);
        let is_old = former.last().is_some_and(|(old, until)| *old == digest && now < *until);
        let matches = key.digest == digest || is_old;
        (in_time && matches).then_some(key)
    }

    /// The key, unless it is revoked.
    #[must_use]
    pub const fn active(&self) -> Option<&NewKey> {
        match self {
            Self::Active { key, .. } => Some(key),
            Self::Unknown | Self::Revoked { .. } => None,
        }
    }

    /// Until when the secret before this one is good.
    #[must_use]
    pub fn old_until(&self) -> Option<Timestamp> {
        match self {
            Self::Active { former, .. } => former.last().map(|(_, until)| *until),
            Self::Unknown | Self::Revoked { .. } => None,
        }
    }
}

/// Whether a key has a secret; an error where it is one of those that it had.
fn has(key: &NewKey, former: &[(Digest, Timestamp)], secret: Digest) -> Result<bool, ApiKeyError> {
    let was_it = former.iter().any(|(old, _)| *old == secret);
    if was_it { Err(ApiKeyError::Replaced) } else { Ok(key.digest == secret) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, given, id, parsed};

    fn digest(number: u8) -> Digest {
        Digest::new([number; 32])
    }

    fn key() -> NewKey {
        NewKey {
            user: id(1),
            name: parsed("nightly job"),
            digest: digest(1),
            scopes: BTreeSet::from([Scope::ChatRead]),
            expires_at: Some(NOW.plus_seconds(100)),
        }
    }

    fn created() -> ApiKeyEvent {
        ApiKeyEvent::ApiKeyCreated(key())
    }

    fn rotated() -> ApiKeyEvent {
        rotated_to(2)
    }

    fn rotated_to(number: u8) -> ApiKeyEvent {
        ApiKeyEvent::ApiKeyRotated { user: id(1), digest: digest(number), old_until: NOW.plus_seconds(10) }
    }

    fn revoked() -> ApiKeyEvent {
        ApiKeyEvent::ApiKeyRevoked { user: id(1) }
    }

    fn rotate(by: u128) -> ApiKeyCommand {
        ApiKeyCommand::Rotate { by: id(by), digest: digest(2), overlap_seconds: 10 }
    }

    fn after(events: Vec<ApiKeyEvent>) -> ApiKey {
        events.into_iter().fold(ApiKey::default(), |mut key, event| {
            key.evolve(event);
            key
        })
    }

    #[test]
    fn a_key_is_created_once() {
        given::<ApiKey>(vec![]).when(ApiKeyCommand::Create(key())).then_expect_events(vec![created()]);
        let others = [NewKey { digest: digest(9), ..key() }, NewKey { user: id(2), ..key() }];
        for other in others.map(ApiKeyCommand::Create) {
            given::<ApiKey>(vec![created()]).when(other).then_expect_error(ApiKeyError::AlreadyCreated);
        }
    }

    #[test]
    fn who_asks_again_for_the_same_secret_has_it_as_long_as_the_key_does() {
        let create = ApiKeyCommand::Create(key());
        let later = || NewKey { expires_at: Some(NOW.plus_seconds(200)), ..key() };
        given::<ApiKey>(vec![created()]).when(ApiKeyCommand::Create(later())).then_expect_events(vec![]);
        given::<ApiKey>(vec![created(), rotated()]).when(rotate(1)).then_expect_events(vec![]);
        let before = vec![created(), rotated(), rotated_to(3)];
        for again in [create.clone(), rotate(1)] {
            given::<ApiKey>(before.clone()).when(again).then_expect_error(ApiKeyError::Replaced);
        }
        given::<ApiKey>(vec![created(), revoked()]).when(create).then_expect_error(ApiKeyError::Replaced);
        assert_eq!(after(before).old_until(), Some(NOW.plus_seconds(10)));
        assert_eq!(after(vec![created()]).old_until(), None);
    }

    #[test]
    fn its_owner_alone_rotates_and_revokes_it() {
        given::<ApiKey>(vec![created()]).when(rotate(1)).then_expect_events(vec![rotated()]);
        given::<ApiKey>(vec![created()]).when(ApiKeyCommand::Revoke { by: id(1) }).then_expect_events(vec![revoked()]);
        for command in [rotate(2), ApiKeyCommand::Revoke { by: id(2) }] {
            for before in [vec![], vec![created()], vec![created(), revoked()]] {
                given::<ApiKey>(before).when(command.clone()).then_expect_error(ApiKeyError::NotFound);
            }
        }
    }

    #[test]
    fn a_revoked_key_stays_so() {
        let before = vec![created(), revoked()];
        given::<ApiKey>(before.clone()).when(rotate(1)).then_expect_error(ApiKeyError::NotFound);
        given::<ApiKey>(before.clone()).when(ApiKeyCommand::Revoke { by: id(1) }).then_expect_events(vec![]);
        assert_eq!(after(before).with_secret(digest(1), NOW), None);
    }

    #[test]
    fn a_secret_is_good_until_the_key_ends_and_an_old_one_for_its_overlap() {
        let fresh = after(vec![created()]);
        assert_eq!(fresh.with_secret(digest(1), NOW.plus_seconds(99)), Some(&key()));
        assert_eq!(fresh.with_secret(digest(1), NOW.plus_seconds(100)), None);
        assert_eq!(fresh.with_secret(digest(2), NOW), None);
        let rotated = after(vec![created(), rotated()]);
        assert!(rotated.with_secret(digest(2), NOW).is_some());
        assert!(rotated.with_secret(digest(1), NOW.plus_seconds(9)).is_some());
        assert_eq!(rotated.with_secret(digest(1), NOW.plus_seconds(10)), None);
        let endless = after(vec![ApiKeyEvent::ApiKeyCreated(NewKey { expires_at: None, ..key() })]);
        assert!(endless.with_secret(digest(1), NOW.plus_seconds(1_000_000)).is_some());
    }
}
