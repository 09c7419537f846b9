//! `Issue`, `Refresh`, `Revoke`: one sign-in on one device, and the chain of refresh tokens that keeps it alive.
//!
//! Each generation of the token has exactly one successor. What is presented is judged once, by [`Token::verdict`].

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{TokenId, UserId};
use crate::values::Digest;
use crate::words;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCommand {
    Issue { user: UserId, epoch: u32, digest: Digest, lifetime: Lifetime, from: Origin },
    Refresh { presented: Presented, successor: Digest, lifetime: Lifetime, from: Origin },
    Revoke { reason: RevokeReason },
}

/// How long a sign-in lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Without a refresh.
    pub idle_seconds: u32,
    /// With however many; fixed when the token is issued.
    pub most_seconds: u32,
}

/// From where a token is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub ip: String,
    pub user_agent: String,
}

/// A refresh token that somebody shows, and what is known beside its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    pub digest: Digest,
    /// When an access token of the current generation was first seen.
    pub current_seen: Option<Timestamp>,
    /// Whether the user's account still has this sign-in.
    pub allowed: bool,
    /// How long after its rotation a token is still answered with its successor.
    pub leeway_seconds: u32,
}

/// What a presented token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The current one: it is rotated.
    Current,
    /// The one before, from who has not received its successor yet: they get the same one.
    Before,
    /// One that was rotated long ago: somebody has stolen a token.
    Reused,
    Expired,
    Revoked,
    /// Never one of this sign-in.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenEvent {
    /// Version 1 had no refresh token, and `expires_at` was the end of its one access token.
    TokenIssued {
        user: UserId,
        expires_at: Timestamp,
        #[serde(default)]
        epoch: u32,
        #[serde(default)]
        refresh: Option<Generation>,
        #[serde(default)]
        from: Origin,
    },
    TokenRotated {
        user: UserId,
        number: u32,
        refresh: Generation,
        at: Timestamp,
    },
    /// Used from another address, or by another program, than before.
    TokenAnomalyNoticed {
        user: UserId,
        from: Origin,
        was: Origin,
    },
    TokenReuseDetected {
        user: UserId,
    },
    /// Shown after its end; noted once for each reason.
    TokenRefused {
        user: UserId,
        reason: RefuseReason,
    },
    TokenRevoked {
        user: UserId,
        reason: RevokeReason,
    },
}

events!(TokenEvent {
    TokenIssued = "2",
    TokenRotated = "1",
    TokenAnomalyNoticed = "1",
    TokenReuseDetected = "1",
    TokenRefused = "1",
    TokenRevoked = "1",
});

/// One refresh token of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    pub digest: Digest,
    pub idle_until: Timestamp,
}

words! {
    /// Why a sign-in ended.
    RevokeReason {
        SignedOut = "signed_out",
        /// Ended by its user from another device.
        Ended = "ended_by_user",
        Reused = "reused",
    }
}

words! {
    RefuseReason {
        Expired = "expired",
        Revoked = "revoked",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token was issued already")]
    AlreadyIssued,
    #[error("there is no such token")]
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Token {
    #[default]
    Unknown,
    Active(Family),
    Revoked(Family),
}

/// A sign-in and its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    pub user: UserId,
    pub epoch: u32,
    pub expires_at: Timestamp,
    /// The number of the current generation; the first is 0.
    pub number: u32,
    current: Option<Generation>,
    before: Option<Rotated>,
    /// All that were rotated; shared, as states are copied often.
    past: Arc<BTreeSet<Digest>>,
    from: Origin,
    refused: BTreeSet<RefuseReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Rotated {
    digest: Digest,
    at: Timestamp,
}

/// How long a lost answer can be asked for again.
pub const LOST_SECONDS: u32 = 86_400;

aggregate!(Token, "token", TokenId, TokenCommand, TokenEvent, TokenError);

impl Token {
    fn decide(&self, command: TokenCommand, now: Timestamp) -> Result<Vec<TokenEvent>, TokenError> {
        match (self, command) {
            (Self::Unknown, TokenCommand::Issue { user, epoch, digest, lifetime, from }) => {
                let expires_at = now.plus_seconds(lifetime.most_seconds.into());
                let refresh = Some(lifetime.generation(digest, now, expires_at));
                Ok(vec![TokenEvent::TokenIssued { user, expires_at, epoch, refresh, from }])
            }
            (Self::Active(_) | Self::Revoked(_), TokenCommand::Issue { .. }) => Err(TokenError::AlreadyIssued),
            (Self::Unknown, TokenCommand::Refresh { .. } | TokenCommand::Revoke { .. }) => Err(TokenError::NotFound),
            (
                Self::Active(family) | Self::Revoked(family),
                TokenCommand::Refresh { presented, successor, lifetime, from },
            ) => Ok(match self.verdict(presented, now) {
                Verdict::Current => family.rotate(successor, lifetime, from, now),
                Verdict::Before => family.anomaly(from).into_iter().collect(),
                Verdict::Reused => family.reuse(),
                Verdict::Expired => family.refuse(RefuseReason::Expired),
                Verdict::Revoked => family.refuse(RefuseReason::Revoked),
                Verdict::Unknown => Vec::new(),
            }),
            (Self::Active(family), TokenCommand::Revoke { reason }) => {
                Ok(vec![TokenEvent::TokenRevoked { user: family.user, reason }])
            }
            (Self::Revoked(_), TokenCommand::Revoke { .. }) => Ok(Vec::new()),
        }
    }

    /// What a token is that is presented now.
    #[must_use]
    pub fn verdict(&self, presented: Presented, now: Timestamp) -> Verdict {
        match self {
            Self::Active(family) | Self::Revoked(family) if !family.ever_had(&presented.digest) => Verdict::Unknown,
            Self::Unknown => Verdict::Unknown,
            Self::Revoked(_) => Verdict::Revoked,
            Self::Active(_) if !presented.allowed => Verdict::Revoked,
            Self::Active(family) if family.has_expired(now) => Verdict::Expired,
            Self::Active(family) => family.verdict(presented, now),
        }
    }

    /// The sign-in, as long as it is not revoked.
    #[must_use]
    pub const fn active(&self) -> Option<&Family> {
        match self {
            Self::Unknown | Self::Revoked(_) => None,
            Self::Active(family) => Some(family),
        }
    }

    fn evolve(&mut self, event: TokenEvent) {
        *self = match (std::mem::take(self), event) {
            (Self::Unknown, TokenEvent::TokenIssued { user, expires_at, epoch, refresh, from }) => {
                Self::Active(Family::new(user, expires_at, epoch, refresh, from))
            }
            (Self::Unknown, _) => Self::Unknown,
            (Self::Active(family) | Self::Revoked(family), TokenEvent::TokenRevoked { .. }) => Self::Revoked(family),
            (Self::Active(family), event) => Self::Active(family.evolved(event)),
            (Self::Revoked(family), event) => Self::Revoked(family.evolved(event)),
        };
    }
}

impl Lifetime {
    fn generation(self, digest: Digest, now: Timestamp, expires_at: Timestamp) -> Generation {
        Generation { digest, idle_until: now.plus_seconds(self.idle_seconds.into()).min(expires_at) }
    }
}

impl Family {
    fn new(user: UserId, expires_at: Timestamp, epoch: u32, current: Option<Generation>, from: Origin) -> Self {
        let (past, refused) = (Arc::default(), BTreeSet::new());
        Self { user, epoch, expires_at, number: 0, current, before: None, past, from, refused }
    }

    fn ever_had(&self, digest: &Digest) -> bool {
        self.is_current(digest) || self.past.contains(digest)
    }

    /// Whether it is the digest of the newest token.
    #[must_use]
    pub fn is_current(&self, digest: &Digest) -> bool {
        self.current.is_some_and(|current| current.digest == *digest)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at || self.current.is_some_and(|current| now >= current.idle_until)
    }

    fn verdict(&self, presented: Presented, now: Timestamp) -> Verdict {
        if self.is_current(&presented.digest) {
            return Verdict::Current;
        }
        let within = |seconds: u32, since: Timestamp| now <= since.plus_seconds(seconds.into());
        match self.before.filter(|before| before.digest == presented.digest) {
            Some(before) if within(presented.leeway_seconds, before.at) => Verdict::Before,
            Some(before) if !within(LOST_SECONDS, before.at) => Verdict::Reused,
            // Several may ask for a lost answer at once: the first that has it uses it while the others still wait.
            Some(_) if presented.current_seen.is_none_or(|at| within(presented.leeway_seconds, at)) => Verdict::Before,
            Some(_) | None => Verdict::Reused,
        }
    }

    fn rotate(&self, successor: Digest, lifetime: Lifetime, from: Origin, now: Timestamp) -> Vec<TokenEvent> {
        let refresh = lifetime.generation(successor, now, self.expires_at);
        let rotated =
            TokenEvent::TokenRotated { user: self.user, number: self.number.saturating_add(1), refresh, at: now };
        self.anomaly(from).into_iter().chain([rotated]).collect()
    }

    fn anomaly(&self, from: Origin) -> Option<TokenEvent> {
        let was = self.from.clone();
        (from != was).then_some(TokenEvent::TokenAnomalyNoticed { user: self.user, from, was })
    }

    fn reuse(&self) -> Vec<TokenEvent> {
        let (user, reason) = (self.user, RevokeReason::Reused);
        vec![TokenEvent::TokenReuseDetected { user }, TokenEvent::TokenRevoked { user, reason }]
    }

    fn refuse(&self, reason: RefuseReason) -> Vec<TokenEvent> {
        let news = !self.refused.contains(&reason);
        news.then_some(TokenEvent::TokenRefused { user: self.user, reason }).into_iter().collect()
    }

    fn evolved(mut self, event: TokenEvent) -> Self {
        match event {
            TokenEvent::TokenRotated { number, refresh, at, user: _ } => {
                self.before = self.current.map(|current| Rotated { digest: current.digest, at });
                Arc::make_mut(&mut self.past).extend(self.before.map(|before| before.digest));
                (self.number, self.current) = (number, Some(refresh));
            }
            TokenEvent::TokenAnomalyNoticed { from, .. } => self.from = from,
            TokenEvent::TokenRefused { reason, .. } => {
                self.refused.insert(reason);
            }
            TokenEvent::TokenIssued { .. }
            | TokenEvent::TokenReuseDetected { .. }
            | TokenEvent::TokenRevoked { .. } => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
