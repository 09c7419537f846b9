//! `HTTP request ─▶ command`, slowed down: how often one may try to sign in, from an address and under a name.
//!
//! All nodes decide as one. What is typed as a name counts the same whether anybody has that name or not, and is kept as
//! a keyed digest alone.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use domain::Timestamp;
use domain::limit::{Backoff, Rate, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::limits::{Kept, Limits};
use store::{Db, StoreError};

/// Who may try now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Throttle {
    limits: Limits,
    rate: Option<Rate>,
    key: hmac::Key,
}

#[derive(Debug)]
pub enum Admission {
    Admitted(Ticket),
    Refused { retry_after_seconds: u32 },
}

/// An attempt that counts as failed until [`Throttle::succeeded`] is told otherwise; empty where nothing counts.
#[derive(Debug)]
pub struct Ticket(Option<Charged>);

#[derive(Debug)]
struct Charged {
    bucket: String,
    identifier: String,
    address: Option<String>,
}

/// For so long an address from which somebody has signed in is known as theirs.
const KNOWN_SECONDS: i64 = 30 * 86_400;

impl Throttle {
    /// Without a rate nobody is slowed down. The secret keys the digests of names.
    #[must_use]
    pub fn new(db: Db, rate: Option<Rate>, secret: &[u8]) -> Self {
        Self { limits: Limits::new(db), rate, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// What stands for a name, however it is typed. The prefix keeps these apart from whatever else the secret signs.
    #[must_use]
    pub fn identifier(&self, typed: &str) -> String {
        let tag = hmac::sign(&self.key, format!("sign-in identifier: {}", typed.trim().to_lowercase()).as_bytes());
        let first = tag.as_ref().iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{first:032x}")
    }

    /// Admits an attempt, or says when to come again. What is refused counts nowhere.
    pub async fn admit(&self, ip: Option<&str>, identifier: &str, now: Timestamp) -> Result<Admission, StoreError> {
        let Some(rate) = self.rate else { return Ok(Admission::Admitted(Ticket(None))) };
        let (identifier, address) = (self.identifier(identifier), ip.map(network));
        let bucket = self.bucket(&identifier, address.as_deref(), now).await?;
        let window = address.as_deref().map(|address| format!("sign-in from {address}"));
        let keys: Vec<&str> = [bucket.as_str()].into_iter().chain(window.as_deref()).collect();
        let decided = self.limits.decide(&keys, now, |states| decide(states, rate, now)).await?;
        Ok(match decided {
            Ok(()) => Admission::Admitted(Ticket(Some(Charged { bucket, identifier, address }))),
            Err(until) => Admission::Refused { retry_after_seconds: seconds_until(until, now) },
        })
    }

    /// Takes the attempt's failure back, and all before it.
    pub async fn succeeded(&self, ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let Some(Charged { bucket, identifier, address }) = ticket.0 else { return Ok(()) };
        self.limits.clear(&bucket, &identifier, address.as_deref(), now.plus_seconds(KNOWN_SECONDS)).await
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
    let mut states = states.iter();
    let mut kept = Vec::new();
    if let Some(state) = states.next() {
        let mut backoff: Backoff = read(state);
        backoff.admit(now)?;
        kept.push(write(&backoff, backoff.expires_at()));
    }
    if let Some(state) = states.next() {
        let mut window: Window = read(state);
        window.admit(now, rate)?;
        kept.push(write(&window, window.expires_at(rate)));
    }
    Ok(((), kept))
}

/// A state that can't be read, such as that of another version, starts anew: it is worth nobody's sign-in.
fn read<S: DeserializeOwned + Default>(state: &str) -> S {
    serde_json::from_str(state).unwrap_or_default()
}

fn write<S: Serialize>(state: &S, expires_at: Timestamp) -> Kept {
    Kept { state: serde_json::to_string(state).unwrap_or_default(), expires_at }
}

/// What counts as one address: of version 6, where everybody has very many, the network.
fn network(ip: &str) -> String {
    match ip.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) => ip.to_owned(),
    }
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
    fn of_version_6_the_network_counts() {
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("unix"), "unix");
    }

    #[test]
    fn a_state_that_can_not_be_read_starts_anew() {
        for state in ["", "{}", "nonsense", "[\"x\"]"] {
            assert_eq!(read::<Window>(state), Window::default());
            assert_eq!(read::<Backoff>(state), Backoff::default());
        }
    }
}
