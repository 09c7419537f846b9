//! What the product does around the one decision: it loads, judges, seals a successor, and appends if nobody was faster.

use std::collections::BTreeMap;

use domain::ids::TokenId;
use domain::token::Token;
use domain::token::family::{
    LOST_SECONDS, Lifetime, Origin, Presented, RevokeReason, TokenCommand, TokenEvent, Verdict,
};
use domain::user::{Registration, User, UserCommand};
use domain::values::{Digest, PasswordHash};
use domain::{Decide, Timestamp};
use proptest::test_runner::TestCaseError;
use uuid::Uuid;

use crate::Step;

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub lifetime: Lifetime,
    pub leeway: u32,
}

/// A refresh token, by the number of its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub number: u32,
    pub digest: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The successor, with an access token of its generation.
    Tokens(Held),
    Refused(Verdict),
}

/// How far the server is with a request; between two phases anything may happen.
#[derive(Debug)]
pub enum Phase {
    Sent,
    Current(Loaded),
    Decided(Loaded, Vec<TokenEvent>, Answer),
}

/// What was read, and when.
#[derive(Debug, Clone)]
pub struct Loaded {
    token: Token,
    version: usize,
    presented: Presented,
    now: Timestamp,
}

/// One sign-in and what lies beside it.
#[derive(Debug)]
pub struct Server {
    pub now: Timestamp,
    pub rules: Rules,
    pub token: Token,
    version: usize,
    user: User,
    /// Every generation: its token, and when it came to be.
    pub chain: Vec<(Digest, Timestamp)>,
    /// For each token its sealed successor, and when it was sealed.
    sealed: BTreeMap<Digest, (Digest, Timestamp)>,
    /// When an access token of a generation was first seen, but for the first generation.
    seen: BTreeMap<u32, Timestamp>,
    secrets: u64,
}

fn sign_in() -> TokenId {
    Uuid::from_u128(1).into()
}

impl Server {
    /// Somebody has signed in just now.
    pub fn new(rules: Rules) -> Self {
        let (now, password_hash) = (Timestamp::from_micros(0), PasswordHash::new(String::new()));
        let username = Some("ada".to_owned().try_into().unwrap());
        let (token, user, chain, sealed, seen) = Default::default();
        let mut server = Self { now, rules, token, version: 0, user, chain, sealed, seen, secrets: 0 };
        server.account(UserCommand::Register(Registration { username, email: None, name: None, password_hash }));
        let (user, digest, lifetime) = (Uuid::from_u128(2).into(), server.secret(), rules.lifetime);
        let issue = TokenCommand::Issue { user, epoch: 0, digest, lifetime, from: Origin::default() };
        server.record(server.token.decide(issue, now).unwrap());
        server
    }

    /// A token that nobody had before.
    pub fn secret(&mut self) -> Digest {
        self.secrets += 1;
        let number = self.secrets.to_be_bytes();
        Digest::new(std::array::from_fn(|at| number.get(at).copied().unwrap_or_default()))
    }

    pub fn number(&self) -> u32 {
        u32::try_from(self.chain.len()).unwrap() - 1
    }

    /// When the current generation came to be.
    pub fn rotated_at(&self) -> Timestamp {
        self.chain.last().unwrap().1
    }

    pub fn issued_at(&self) -> Timestamp {
        self.chain.first().unwrap().1
    }

    pub fn is_revoked(&self) -> bool {
        self.token.active().is_none()
    }

    /// Whether the account still has this sign-in.
    pub fn is_allowed(&self) -> bool {
        self.user.account().unwrap().keeps(sign_in(), 0)
    }

    pub fn has_expired(&self) -> bool {
        let over = |since: Timestamp, seconds: u32| self.now >= since.plus_seconds(seconds.into());
        let Lifetime { idle_seconds, most_seconds } = self.rules.lifetime;
        over(self.rotated_at(), idle_seconds) || over(self.issued_at(), most_seconds)
    }

    /// One more phase of a refresh; the answer, when it was the last.
    pub fn step(&mut self, phase: &mut Phase, digest: Digest, from: &Origin) -> Step<Option<Answer>> {
        *phase = match std::mem::replace(phase, Phase::Sent) {
            Phase::Sent => self.judge(digest, from)?,
            Phase::Current(loaded) => {
                let fresh = self.secret();
                // What was sealed by a node that died before it appended is as good as new.
                let settled = self.sealed.entry(digest).or_insert((fresh, self.now));
                settled.1 = self.now;
                let successor = settled.0;
                let number = self.number() + 1;
                let tokens = Answer::Tokens(Held { number, digest: successor });
                let events = self.decide(&loaded, successor, from);
                Phase::Decided(loaded, events, tokens)
            }
            // Nothing to append: nobody can have been faster.
            Phase::Decided(_, events, answer) if events.is_empty() => return Ok(Some(answer)),
            Phase::Decided(loaded, events, answer) if loaded.version == self.version => {
                self.record(events);
                return Ok(Some(answer));
            }
            Phase::Decided(..) => Phase::Sent,
        };
        Ok(None)
    }

    fn judge(&mut self, digest: Digest, from: &Origin) -> Step<Phase> {
        let (allowed, leeway_seconds) = (self.is_allowed(), self.rules.leeway);
        let current_seen = self.seen.get(&self.number()).copied();
        let presented = Presented { digest, current_seen, allowed, leeway_seconds };
        let loaded = Loaded { token: self.token.clone(), version: self.version, presented, now: self.now };
        let answer = match self.token.verdict(presented, self.now) {
            Verdict::Current => return Ok(Phase::Current(loaded)),
            Verdict::Before => {
                let sealed = self.sealed.get(&digest).ok_or(TestCaseError::fail("the successor is lost"))?;
                Answer::Tokens(Held { number: self.number(), digest: sealed.0 })
            }
            refused @ (Verdict::Reused | Verdict::Expired | Verdict::Revoked | Verdict::Unknown) => {
                Answer::Refused(refused)
            }
        };
        let successor = self.secret();
        let events = self.decide(&loaded, successor, from);
        Ok(Phase::Decided(loaded, events, answer))
    }

    fn decide(&self, loaded: &Loaded, successor: Digest, from: &Origin) -> Vec<TokenEvent> {
        let Loaded { token, presented, now, .. } = loaded;
        let (presented, lifetime, from) = (*presented, self.rules.lifetime, from.clone());
        token.decide(TokenCommand::Refresh { presented, successor, lifetime, from }, *now).unwrap()
    }

    fn record(&mut self, events: Vec<TokenEvent>) {
        for event in events {
            if let TokenEvent::TokenIssued { refresh: Some(refresh), .. } | TokenEvent::TokenRotated { refresh, .. } =
                &event
            {
                let at = if let TokenEvent::TokenRotated { at, .. } = &event { *at } else { self.now };
                self.chain.push((refresh.digest, at));
            }
            self.version += 1;
            cqrs_es::Aggregate::apply(&mut self.token, event);
        }
    }

    /// Whether an access token of a generation was seen, and longer ago than the leeway: a lost answer may be asked for
    /// again by several at once, and the first who has it uses it while the others still wait.
    pub fn is_seen(&self, number: u32) -> bool {
        let over = |at: &Timestamp| self.now > at.plus_seconds(self.rules.leeway.into());
        self.seen.get(&number).is_some_and(over)
    }

    /// Whether an access token of this generation is good, which notes that it was seen.
    pub fn access(&mut self, number: u32, issued: Timestamp) -> bool {
        let good = !self.is_revoked() && self.is_allowed() && self.now < issued.plus_seconds(900);
        if good && number > 0 {
            self.seen.entry(number).or_insert(self.now);
        }
        good
    }

    pub fn log_out(&mut self) {
        let revoke = TokenCommand::Revoke { reason: RevokeReason::SignedOut };
        self.record(self.token.decide(revoke, self.now).unwrap());
    }

    pub fn change_password(&mut self, here: bool) {
        let kept = Some(if here { sign_in() } else { Uuid::from_u128(9).into() });
        self.account(UserCommand::ChangePassword { password_hash: PasswordHash::new(String::new()), kept });
    }

    fn account(&mut self, command: UserCommand) {
        for event in self.user.decide(command, self.now).unwrap() {
            cqrs_es::Aggregate::apply(&mut self.user, event);
        }
    }

    /// Forgets the successors that nobody can ask for any more.
    pub fn sweep(&mut self) {
        let used =
            |digest: &Digest| self.chain.iter().zip(0..).any(|((it, _), number)| it == digest && self.is_seen(number));
        let (revoked, lost) = (self.is_revoked(), |at: Timestamp| self.now > at.plus_seconds(LOST_SECONDS.into()));
        let over = |(successor, at): &(Digest, Timestamp)| revoked || lost(*at) || used(successor);
        let kept = self.sealed.iter().filter(|(_, sealed)| !over(sealed)).map(|(of, sealed)| (*of, *sealed)).collect();
        self.sealed = kept;
    }
}
