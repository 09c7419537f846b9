//! `HTTP request ─▶ command`, slowed down: how often one may guess a password, from an address and for whom, and how often
//! one may register.
//!
//! All nodes decide as one. What is typed as a name counts the same whether anybody has that name or not, and is kept as
//! a keyed digest alone.

use aws_lc_rs::hmac;
use domain::Timestamp;
use domain::ids::UserId;
use domain::limit::{Backoff, Rate, Window};
use domain::token::notice::LimitKind;
use store::StoreError;
use store::limits::{Limits, States};

use crate::client_address::network;
use crate::limits::{Standing, tell};
use crate::metrics;

/// Who may try now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Throttle {
    limits: Limits,
    rate: Option<Rate>,
    key: hmac::Key,
}

/// Whose password is tried. Each kind counts for itself: nobody can choose a user name whose failures are another
/// account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess<'a> {
    /// That of whoever has a name, as it was typed.
    SignIn(&'a str),
    /// That of an account somebody is signed in to.
    Password(UserId),
}

impl<'a> From<&'a str> for Guess<'a> {
    fn from(typed: &'a str) -> Self {
        Self::SignIn(typed)
    }
}

impl From<UserId> for Guess<'_> {
    fn from(user: UserId) -> Self {
        Self::Password(user)
    }
}

#[derive(Debug)]
pub enum Admission {
    Admitted(Ticket),
    Refused {
        retry_after_seconds: u32,
        /// How many are free of waiting, or may come from an address, and how many there were.
        most: usize,
        used: usize,
    },
}

/// An attempt that counts as failed until [`Throttle::succeeded`] or [`Throttle::withdraw`] takes it back; empty where
/// nothing counts.
#[derive(Debug)]
pub struct Ticket(Option<Charged>);

#[derive(Debug)]
struct Charged {
    bucket: String,
    identifier: String,
    address: Option<String>,
    at: Timestamp,
}

/// For so long an address from which somebody has signed in is known as theirs.
const KNOWN_SECONDS: i64 = 30 * 86_400;

impl Throttle {
    /// Without a rate nobody is slowed down. The secret keys the digests of names.
    #[must_use]
    pub fn new(limits: Limits, rate: Option<Rate>, secret: &[u8]) -> Self {
        Self { limits, rate, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// What stands for whose password is tried: for a name, however it is typed. The prefixes keep the kinds apart from each
    /// other, and from whatever else the secret signs.
    #[must_use]
    pub fn identifier<'a>(&self, guess: impl Into<Guess<'a>>) -> String {
        let text = match guess.into() {
            Guess::SignIn(typed) => format!("sign-in identifier: {}", typed.trim().to_lowercase()),
            Guess::Password(user) => format!("password of user: {user}"),
        };
        let tag = hmac::sign(&self.key, text.as_bytes());
        let first = tag.as_ref().iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{first:032x}")
    }

    /// Admits an attempt, or says when to come again. What is refused counts nowhere.
    pub async fn admit<'a>(
        &self,
        ip: Option<&str>,
        guess: impl Into<Guess<'a>>,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let Some(rate) = self.rate else { return Ok(Admission::Admitted(Ticket(None))) };
        let (identifier, address) = (self.identifier(guess), ip.map(network));
        let bucket = self.bucket(&identifier, address.as_deref(), now).await?;
        let window = address.as_deref().map(|address| format!("sign-in from {address}"));
        let has_window = window.is_some();
        let keys = [bucket.clone()].into_iter().chain(window).collect();
        let tried = self.decide(keys, move |states| decide(states, rate, has_window, now)).await?;
        tried.tell(LimitKind::SignIn, rate, now);
        Ok(match tried.until {
            None => Admission::Admitted(Ticket(Some(Charged { bucket, identifier, address, at: now }))),
            Some(until) => {
                let (most, used) = tried.reached(rate, now);
                Admission::Refused { retry_after_seconds: now.seconds_until(until), most, used }
            }
        })
    }

    /// As all nodes have it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.limits.now()
    }

    /// How often an address may try.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Takes the attempt's failure back, and all before it.
    pub async fn succeeded(&self, ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let Some(Charged { bucket, identifier, address, .. }) = ticket.0 else { return Ok(()) };
        self.limits.clear(&bucket, &identifier, address.as_deref(), now.plus_seconds(KNOWN_SECONDS)).await
    }

    /// Takes back the failure of an attempt that came to no guess, such as where too many waited. Its address has tried all
    /// the same.
    pub async fn withdraw(&self, ticket: Ticket) -> Result<(), StoreError> {
        let Some(Charged { bucket, at, .. }) = ticket.0 else { return Ok(()) };
        self.limits.decide(vec![bucket], move |states| withdraw(states, at)).await
    }

    /// Admits an attempt to register, or says in how many seconds to come again: as often as to sign in, counted apart.
    pub async fn admit_registration(&self, ip: Option<&str>, now: Timestamp) -> Result<Result<(), u32>, StoreError> {
        let (Some(rate), Some(ip)) = (self.rate, ip) else { return Ok(Ok(())) };
        let key = format!("register from {}", network(ip));
        let tried = self.decide(vec![key], move |states| count(states, 0, rate, now)).await?;
        tried.tell(LimitKind::Registration, rate, now);
        Ok(tried.until.map_or(Ok(()), |until| Err(now.seconds_until(until))))
    }

    /// Who is refused on what anybody may read waits for nobody and costs no write.
    async fn decide(
        &self,
        keys: Vec<String>,
        rule: impl Fn(&mut States<'_>) -> Tried + Send + 'static,
    ) -> Result<Tried, StoreError> {
        let looked = self.limits.look(&keys, &rule).await?;
        if looked.until.is_some() { Ok(looked) } else { self.limits.decide(keys, rule).await }
    }

    /// Where failures under a name are counted: an address from which that name signed in lately has its own, so that
    /// nobody elsewhere can lock its owner out.
    async fn bucket(&self, identifier: &str, address: Option<&str>, now: Timestamp) -> Result<String, StoreError> {
        let known = match address {
            Some(address) => self.limits.knows(identifier, address, now).await?.then_some(address),
            None => None,
        };
        Ok(match known {
            Some(address) => format!("sign-in as {identifier} from {address}"),
            None => format!("sign-in as {identifier}"),
        })
    }
}

/// What came of an attempt.
#[derive(Default)]
struct Tried {
    /// When it may be made, where it may not now.
    until: Option<Timestamp>,
    /// So many failures under the name are why.
    failures: Option<u32>,
    /// The address', if there is an address.
    window: Option<Window>,
}

impl Tried {
    /// Counts it, and lets its answer say how the address' window stands.
    fn tell(&self, kind: LimitKind, rate: Rate, now: Timestamp) {
        metrics::limited(kind, self.until.is_none());
        tell(self.window.iter().map(|window| Standing::of(kind, rate, window, now)).collect());
    }

    /// Of what stands in the way: how many are let pass, and how many came.
    fn reached(&self, rate: Rate, now: Timestamp) -> (usize, usize) {
        match (self.failures, &self.window) {
            (Some(failures), _) => (Backoff::FREE as usize, failures as usize),
            (None, Some(window)) => (rate.most(), window.used(now, rate)),
            (None, None) => (rate.most(), rate.most()),
        }
    }
}

/// The name's failures first, then the address' window. Who is refused by either counts in neither.
fn decide(states: &mut States<'_>, rate: Rate, has_window: bool, now: Timestamp) -> Tried {
    let mut backoff: Backoff = states.get(0);
    if let Err(until) = backoff.admit(now) {
        let (failures, window) = (Some(backoff.failures()), has_window.then(|| states.get(1)));
        return Tried { until: Some(until), failures, window };
    }
    let tried = if has_window { count(states, 1, rate, now) } else { Tried::default() };
    if tried.until.is_none() {
        states.keep(0, backoff, backoff.expires_at());
    }
    tried
}

/// Counts in the window at that place, if that has room.
fn count(states: &mut States<'_>, place: usize, rate: Rate, now: Timestamp) -> Tried {
    let mut window: Window = states.get(place);
    let until = window.admit(now, rate).err();
    if until.is_none() {
        states.keep(place, window.clone(), window.expires_at(rate));
    }
    Tried { until, failures: None, window: Some(window) }
}

/// Unless somebody has signed in meanwhile: with that all failures are gone.
fn withdraw(states: &mut States<'_>, admitted: Timestamp) {
    let mut backoff: Backoff = states.get(0);
    if backoff != Backoff::default() {
        backoff.withdraw(admitted);
        states.keep(0, backoff, backoff.expires_at());
    }
}
