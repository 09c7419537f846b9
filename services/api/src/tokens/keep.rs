//! The keeper of refresh tokens: their settings, and the sealed successor that three tabs at once all get.

use std::time::Duration;

use domain::Timestamp;
use domain::ids::{TokenId, UserId};
use domain::token::family::{LOST_SECONDS, Lifetime};
use store::{Clock, Owner, StoreError, Successors, in_full};
use tokio_util::sync::CancellationToken;

use super::refresh::RefreshToken;
use super::secret::SecretKey;

/// Settles successors, and knows how long sign-ins last. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RefreshTokens {
    successors: Successors,
    secret: SecretKey,
    pub(crate) lifetime: Lifetime,
    pub(crate) leeway_seconds: u32,
    /// Generations of which this node knows that they were seen.
    seen: moka::sync::Cache<(TokenId, u32), ()>,
}

const PURPOSE: &str = "colloquy refresh successor";
const SEEN: u64 = 50_000;
const SWEEP: Duration = Duration::from_secs(30);
/// How far the clocks of two nodes may be apart.
const SKEW_SECONDS: u32 = 60;

impl RefreshTokens {
    #[must_use]
    pub fn new(successors: Successors, secret: SecretKey, lifetime: Lifetime, leeway_seconds: u32) -> Self {
        Self { successors, secret, lifetime, leeway_seconds, seen: moka::sync::Cache::new(SEEN) }
    }

    /// The one successor of a token that is about to be rotated: who comes first settles it.
    pub(crate) async fn settle(
        &self,
        old: &RefreshToken,
        generation: u32,
        owner: Owner,
        now: Timestamp,
    ) -> Result<Option<RefreshToken>, StoreError> {
        let family = old.family();
        let Some((token, sealed)) = RefreshToken::fresh(family).and_then(|token| {
            let sealed = self.seal(old, generation, &token)?;
            Some((token, sealed))
        }) else {
            return Ok(None);
        };
        let settled = self.successors.settle(family, generation, owner, &sealed, now).await?;
        if let Some(token) = self.open(old, generation, &settled) {
            return Ok(Some(token));
        }
        tracing::warn!("a sealed successor can't be opened: was SECRET_KEY changed?");
        if self.successors.replace(family, generation, &settled, &sealed).await? {
            return Ok(Some(token));
        }
        let replaced = self.successors.of(family, generation).await?.sealed;
        Ok(replaced.and_then(|sealed| self.open(old, generation, &sealed)))
    }

    /// The successor that was settled for a token, and when it was first used.
    pub(crate) async fn settled(
        &self,
        old: &RefreshToken,
        generation: u32,
    ) -> Result<(Option<RefreshToken>, Option<Timestamp>), StoreError> {
        let known = self.successors.of(old.family(), generation).await?;
        let token = known.sealed.and_then(|sealed| self.open(old, generation, &sealed));
        Ok((token, known.seen))
    }

    /// An access token of some generation was used. The first one has no predecessor that could ask again.
    pub(crate) async fn note_seen(&self, family: TokenId, generation: u32, now: Timestamp) {
        if generation == 0 || self.seen.contains_key(&(family, generation)) {
            return;
        }
        match self.successors.note_seen(family, generation, now).await {
            Ok(()) => self.seen.insert((family, generation), ()),
            Err(error) => tracing::debug!(cause = in_full(&error), "a first use is not noted yet"),
        }
    }

    /// A sign-in has ended: nobody may ask for its successors any more.
    pub(crate) async fn forget(&self, family: TokenId) {
        forgotten(self.successors.forget(family).await);
    }

    /// All sign-ins of earlier epochs have ended, but the one that is kept.
    pub(crate) async fn forget_older(&self, user: UserId, epoch: u32, kept: Option<TokenId>) {
        forgotten(self.successors.forget_older(user, epoch, kept).await);
    }

    /// Drops what nobody may ask for any more, until told to stop.
    pub async fn run(&self, clock: Clock, shutdown: CancellationToken) {
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                if let Err(error) = self.sweep(clock.now()).await {
                    tracing::debug!(cause = in_full(&error), "successors were not swept");
                }
            }
        };
        shutdown.run_until_cancelled(sweep).await;
    }

    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = |seconds: u32| now.plus_seconds(-i64::from(seconds));
        let leeway = self.leeway_seconds.saturating_add(SKEW_SECONDS);
        self.successors.sweep(before(leeway), before(LOST_SECONDS.saturating_add(SKEW_SECONDS))).await
    }

    fn seal(&self, old: &RefreshToken, generation: u32, token: &RefreshToken) -> Option<Vec<u8>> {
        self.secret.seal(PURPOSE, old.as_bytes(), &generation.to_be_bytes(), token.as_bytes())
    }

    fn open(&self, old: &RefreshToken, generation: u32, sealed: &[u8]) -> Option<RefreshToken> {
        let bytes = self.secret.open(PURPOSE, old.as_bytes(), &generation.to_be_bytes(), sealed)?;
        RefreshToken::read(&bytes).filter(|token| token.family() == old.family())
    }
}

/// What could not be forgotten is swept later.
fn forgotten(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::debug!(cause = in_full(&error), "successors of what has ended are not forgotten yet");
    }
}
