//! `bus ─▶ revocations`: which access tokens and keys are good no more, on every node, from the event feed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::token::api_key::ApiKeyEvent;
use domain::token::family::TokenEvent;
use domain::token::notice::NoticeEvent;
use domain::user::UserEvent;
use domain::{Event, Timestamp};
use nats::{Bus, Feed};
use store::{Clock, Log, Position, Recorded, StoreError, in_full};
use tokio_util::sync::CancellationToken;

use super::access::Bearer;
use super::signing::SigningKeys;
use crate::api_keys::ApiKeys;

/// What has ended in the last while. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    ended: Arc<RwLock<Ended>>,
    /// Whether the feed can't be read for the moment.
    deaf: Arc<AtomicBool>,
}

/// What else changes with the feed.
#[derive(Debug, Clone)]
pub struct Followers {
    pub signing_keys: SigningKeys,
    pub api_keys: ApiKeys,
    pub clock: Clock,
}

#[derive(Debug, Default)]
struct Ended {
    sign_ins: HashMap<TokenId, Timestamp>,
    users: HashMap<UserId, Epoch>,
    keys: HashMap<ApiKeyId, Timestamp>,
}

/// Since when a user has which epoch.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    number: u32,
    kept: Option<TokenId>,
    at: Timestamp,
}

/// Longer than any access token lives, and any key is remembered, whatever the clocks of the nodes say.
const KEPT_SECONDS: i64 = 25 * 3_600;
const BATCH: usize = 1_000;
const AGAIN: Duration = Duration::from_millis(100);
const FORGET: Duration = Duration::from_mins(5);
/// The events that matter here. (The log has an index of those that end tokens.)
const NAMES: [&str; 5] = ["TokenRevoked", "SignInsEnded", "ApiKeyRevoked", "ApiKeyRotated", "SigningKeyRotated"];

/// For whom else an event is news.
enum News {
    None,
    ApiKey(ApiKeyId),
    SigningKeys,
}

impl Revocations {
    /// What has ended before this node started; from where on to follow.
    pub async fn begin(log: &Log, now: Timestamp) -> Result<(Self, Position), StoreError> {
        let (revocations, position) = (Self::default(), log.head().await?);
        for recorded in log.endings(now.plus_seconds(-KEPT_SECONDS)).await? {
            revocations.take(&recorded);
        }
        Ok((revocations, position))
    }

    /// Follows the feed until told to stop.
    pub async fn run(&self, log: Log, bus: Bus, from: Position, followers: Followers, shutdown: CancellationToken) {
        let mut feed = Feed::new(log, bus.tail().clone(), from);
        let follow = async {
            loop {
                let followed = self.follow(&mut feed, &followers).await;
                let was_deaf = self.deaf.swap(followed.is_err(), Ordering::SeqCst);
                if let Err(error) = followed {
                    if !was_deaf {
                        tracing::warn!(cause = in_full(&error), "revocations can't be followed");
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let forget = async {
            loop {
                tokio::time::sleep(FORGET).await;
                self.forget(followers.clock.now());
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follow => {}
            () = forget => {}
        }
    }

    async fn follow(&self, feed: &mut Feed, followers: &Followers) -> Result<(), StoreError> {
        for recorded in feed.next(BATCH).await? {
            match self.take(&recorded) {
                News::None => {}
                News::ApiKey(id) => followers.api_keys.forget(id),
                News::SigningKeys => followers.signing_keys.reload(followers.clock.now()).await,
            }
        }
        Ok(())
    }

    /// Whether this node hears of what ends.
    pub(crate) fn are_followed(&self) -> bool {
        !self.deaf.load(Ordering::SeqCst)
    }

    /// Takes in an event, and says what else it is news for.
    fn take(&self, recorded: &Recorded) -> News {
        if !NAMES.contains(&recorded.event_type.as_str()) {
            return News::None;
        }
        let at = recorded.recorded_at;
        match recorded.event() {
            Ok(Event::Token(id, TokenEvent::TokenRevoked { .. })) => self.end_sign_in(id, at),
            Ok(Event::User(id, UserEvent::SignInsEnded { epoch, kept, .. })) => self.end_all(id, epoch, kept, at),
            Ok(Event::ApiKey(id, ApiKeyEvent::ApiKeyRevoked { .. })) => self.end_key(id, at),
            Ok(Event::ApiKey(id, ApiKeyEvent::ApiKeyRotated { .. })) => return News::ApiKey(id),
            Ok(Event::Notice(_, NoticeEvent::SigningKeyRotated { .. })) => return News::SigningKeys,
            Ok(_) => {}
            Err(error) => tracing::error!(at = %recorded.position, %error, "a revocation can't be read"),
        }
        News::None
    }

    /// A sign-in is over. Whoever ends one says so here, too, so that this node need not wait for the feed.
    pub(crate) fn end_sign_in(&self, id: TokenId, at: Timestamp) {
        self.write(|ended| {
            ended.sign_ins.insert(id, at);
        });
    }

    pub(crate) fn end_all(&self, user: UserId, number: u32, kept: Option<TokenId>, at: Timestamp) {
        let epoch = Epoch { number, kept, at };
        self.write(|ended| {
            let known = ended.users.entry(user).or_insert(epoch);
            if known.number < number {
                *known = epoch;
            }
        });
    }

    pub(crate) fn end_key(&self, id: ApiKeyId, at: Timestamp) {
        self.write(|ended| {
            ended.keys.insert(id, at);
        });
    }

    /// Whether a token that is ours and in time is good no more all the same.
    pub(crate) fn has_ended(&self, bearer: &Bearer) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        let older = |epoch: &Epoch| bearer.epoch < epoch.number && epoch.kept != Some(bearer.session);
        ended.sign_ins.contains_key(&bearer.session) || ended.users.get(&bearer.user).is_some_and(older)
    }

    /// Whether a key that was looked up when its user's account had some epoch must be looked up again.
    pub(crate) fn has_ended_key(&self, id: ApiKeyId, user: UserId, epoch: u32) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.keys.contains_key(&id) || ended.users.get(&user).is_some_and(|known| epoch < known.number)
    }

    fn write(&self, change: impl FnOnce(&mut Ended)) {
        change(&mut self.ended.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Forgets what no token can be old enough for.
    fn forget(&self, now: Timestamp) {
        let since = now.plus_seconds(-KEPT_SECONDS);
        self.write(|ended| {
            ended.sign_ins.retain(|_, at| *at >= since);
            ended.users.retain(|_, epoch| epoch.at >= since);
            ended.keys.retain(|_, at| *at >= since);
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn bearer(session: u128, epoch: u32) -> Bearer {
        Bearer { user: Uuid::from_u128(1).into(), session: Uuid::from_u128(session).into(), generation: 0, epoch }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn an_epoch_ends_all_older_tokens_but_the_kept_and_an_older_epoch_changes_nothing() {
        let revocations = Revocations::default();
        assert!(!revocations.has_ended(&bearer(2, 0)));
        revocations.end_all(bearer(2, 0).user, 2, Some(bearer(3, 0).session), NOW);
        revocations.end_all(bearer(2, 0).user, 1, Some(bearer(2, 0).session), NOW);
        assert!(revocations.has_ended(&bearer(2, 1)));
        assert!(!revocations.has_ended(&bearer(3, 0)) && !revocations.has_ended(&bearer(2, 2)));
        revocations.end_sign_in(bearer(3, 0).session, NOW);
        assert!(revocations.has_ended(&bearer(3, 0)));
    }

    #[test]
    fn what_is_older_than_any_token_is_forgotten() {
        let revocations = Revocations::default();
        revocations.end_sign_in(bearer(2, 0).session, NOW);
        revocations.forget(NOW.plus_seconds(KEPT_SECONDS));
        assert!(revocations.has_ended(&bearer(2, 0)));
        revocations.forget(NOW.plus_seconds(KEPT_SECONDS + 1));
        assert!(!revocations.has_ended(&bearer(2, 0)));
    }
}
