//! `CreateKey`, `RotateKey`, `RevokeKey` → the events of a key for programs.

use std::collections::BTreeSet;

use domain::Timestamp;
use domain::ids::{ApiKeyId, UserId};
use domain::token::api_key::{ApiKey, ApiKeyCommand, ApiKeyError, NewKey};
use domain::values::{Digest, KeyName, Scope};
use store::{Command, StoreError, Unit};

use crate::caller::Scopes;

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyChange {
    #[error("the key may do more than who asks for it")]
    Mightier,
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub(crate) struct CreateKey {
    pub(crate) id: ApiKeyId,
    pub(crate) user: UserId,
    pub(crate) name: KeyName,
    pub(crate) digest: Digest,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) lifetime_seconds: Option<i64>,
    /// The end of the key that makes it, if it was one: it does not outlive that.
    pub(crate) at_most: Option<Timestamp>,
    /// Id and secret follow from the request: it may have been made before.
    pub(crate) may_exist: bool,
}

impl Command for CreateKey {
    const NAME: &'static str = "create_key";
    type Output = NewKey;
    type Error = KeyChange;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<NewKey, KeyChange> {
        let asked = self.lifetime_seconds.map(|seconds| unit.now().plus_seconds(seconds));
        let expires_at = asked.into_iter().chain(self.at_most).min();
        let (user, name, digest, scopes) = (self.user, self.name.clone(), self.digest, self.scopes.clone());
        let create = ApiKeyCommand::Create(NewKey { user, name, digest, scopes, expires_at });
        let mut stream = if self.may_exist { unit.load_fresh(self.id).await? } else { unit.begin::<ApiKey>(self.id) };
        stream.decide(create)?;
        let key = stream.state().active().cloned().ok_or(ApiKeyError::NotFound)?;
        if key.expires_at.is_some_and(|end| end <= unit.now()) {
            return Err(ApiKeyError::Replaced.into());
        }
        if outlives(&key, self.at_most) { Err(KeyChange::Mightier) } else { Ok(key) }
    }
}

/// Whether a key is good for longer than that.
fn outlives(key: &NewKey, at_most: Option<Timestamp>) -> bool {
    at_most.is_some_and(|end| key.expires_at.is_none_or(|its| its > end))
}

#[derive(Debug)]
pub(crate) struct RotateKey {
    pub(crate) id: ApiKeyId,
    pub(crate) by: UserId,
    pub(crate) digest: Digest,
    pub(crate) overlap_seconds: u32,
    /// What who asks may do, and until when: nobody gets hold of a mightier key.
    pub(crate) within: Scopes,
    pub(crate) at_most: Option<Timestamp>,
}

impl Command for RotateKey {
    const NAME: &'static str = "rotate_key";
    /// The key, and until when its old secret is good.
    type Output = (NewKey, Timestamp);
    type Error = KeyChange;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(NewKey, Timestamp), KeyChange> {
        let (by, digest, overlap_seconds) = (self.by, self.digest, self.overlap_seconds);
        let mut stream = unit.load_fresh::<ApiKey>(self.id).await?;
        stream.decide(ApiKeyCommand::Rotate { by, digest, overlap_seconds })?;
        let (key, old_until) =
            stream.state().active().cloned().zip(stream.state().old_until()).ok_or(ApiKeyError::NotFound)?;
        let is_mightier = !self.within.include_all(&key.scopes) || outlives(&key, self.at_most);
        if is_mightier { Err(KeyChange::Mightier) } else { Ok((key, old_until)) }
    }
}

#[derive(Debug)]
pub(crate) struct RevokeKey {
    pub(crate) id: ApiKeyId,
    pub(crate) by: UserId,
}

impl Command for RevokeKey {
    const NAME: &'static str = "revoke_key";
    type Output = ();
    type Error = KeyChange;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), KeyChange> {
        unit.load_fresh::<ApiKey>(self.id).await?.decide(ApiKeyCommand::Revoke { by: self.by })?;
        Ok(())
    }
}
