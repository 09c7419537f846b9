//! `HTTP request ─▶ command`, slowed down: how often one may guess a password, from an address and for whom, and how often
//! one may register.
//!
//! All nodes decide as one. What is typed as a name counts the same whether anybody has that name or not, and is kept as
//! a keyed digest alone.

use aws_lc_rs::hmac;
use domain::Timestamp;
use domain::ids::UserId;
use domain::limit::{Backoff, Rate, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::limits::{Kept, Limits};
use store::{Db, StoreError};

use crate::client_address::network;

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
    Refused { retry_after_seconds: u32 },
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
    pub fn new(db: Db, rate: Option<Rate>, secret: &[u8]) -> Self {
        Self { limits: Limits::new(db), rate, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
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
        let keys: Vec<&str> = [bucket.as_str()].into_iter().chain(window.as_deref()).collect();
        let decided = self.limits.decide(&keys, now, |states| decide(states, rate, now)).await?;
        Ok(match decided {
            Ok(()) => Admission::Admitted(Ticket(Some(Charged { bucket, identifier, address, at: now }))),
            Err(until) => Admission::Refused { retry_after_seconds: seconds_until(until, now) },
        })
    }

    /// Takes the attempt's failure back, and all before it.
    pub async fn succeeded(&self, ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let Some(Charged { bucket, identifier, address, .. }) = ticket.0 else { return Ok(()) };
        self.limits.clear(&bucket, &identifier, address.as_deref(), now.plus_seconds(KNOWN_SECONDS)).await
    }

    /// Takes back the failure of an attempt that came to no guess, such as where too many waited. Its address has tried all
    /// the same.
    pub async fn withdraw(&self, ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let Some(Charged { bucket, at, .. }) = ticket.0 else { return Ok(()) };
        let decided = self.limits.decide(&[&bucket], now, |states| withdraw(states, at)).await?;
        decided.or_else(|Cleared| Ok(()))
    }

    /// Admits an attempt to register, or says in how many seconds to come again: as often as to sign in, counted apart.
    pub async fn admit_registration(&self, ip: Option<&str>, now: Timestamp) -> Result<Result<(), u32>, StoreError> {
        let (Some(rate), Some(ip)) = (self.rate, ip) else { return Ok(Ok(())) };
        let key = format!("register from {}", network(ip));
        let decided =
            self.limits.decide(&[&key], now, |states| admit_one(states, rate, now).map(|kept| ((), kept))).await?;
        Ok(decided.map_err(|until| seconds_until(until, now)))
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

/// The name's failures first, then the address' window, if there is an address.
fn decide(states: &[String], rate: Rate, now: Timestamp) -> Result<((), Vec<Kept>), Timestamp> {
    let Some((failures, windows)) = states.split_first() else { return Ok(((), Vec::new())) };
    let mut backoff: Backoff = read(failures);
    backoff.admit(now)?;
    let mut kept = vec![write(&backoff, backoff.expires_at())];
    kept.extend(admit_one(windows, rate, now)?);
    Ok(((), kept))
}

/// One more in each window.
fn admit_one(states: &[String], rate: Rate, now: Timestamp) -> Result<Vec<Kept>, Timestamp> {
    let admit = |state: &String| {
        let mut window: Window = read(state);
        window.admit(now, rate)?;
        Ok(write(&window, window.expires_at(rate)))
    };
    states.iter().map(admit).collect()
}

/// Somebody has signed in meanwhile, and with that all failures are gone.
struct Cleared;

fn withdraw(states: &[String], admitted: Timestamp) -> Result<((), Vec<Kept>), Cleared> {
    let mut backoff = states.first().map(|state| read::<Backoff>(state)).unwrap_or_default();
    if backoff == Backoff::default() {
        return Err(Cleared);
    }
    backoff.withdraw(admitted);
    Ok(((), vec![write(&backoff, backoff.expires_at())]))
}

/// A state that can't be read, such as that of another version, starts anew: it is worth nobody's sign-in.
fn read<S: DeserializeOwned + Default>(state: &str) -> S {
    serde_json::from_str(state).unwrap_or_default()
}

fn write<S: Serialize>(state: &S, expires_at: Timestamp) -> Kept {
    Kept { state: serde_json::to_string(state).unwrap_or_default(), expires_at }
}

/// Rounded up: who waits so long is not too early.
fn seconds_until(until: Timestamp, now: Timestamp) -> u32 {
    let micros = until.as_micros().saturating_sub(now.as_micros()).max(1);
    u32::try_from(micros.saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_whole_seconds_and_at_least_one() {
        let now = Timestamp::from_micros(5);
        for (micros, seconds) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (900_000_000, 900)] {
            assert_eq!(seconds_until(Timestamp::from_micros(5 + micros), now), seconds);
        }
        assert_eq!(seconds_until(Timestamp::from_micros(0), now), 1);
    }

    #[test]
    fn a_state_that_can_not_be_read_starts_anew() {
        for state in ["", "{}", "nonsense", "[\"x\"]"] {
            assert_eq!(read::<Window>(state), Window::default());
            assert_eq!(read::<Backoff>(state), Backoff::default());
        }
    }
}
