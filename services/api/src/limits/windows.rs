//! Which windows a request counts in, and what they say: the rule that is heard by their states.

use domain::Timestamp;
use domain::limit::{Rate, Window};
use domain::token::notice::LimitKind;
use projections::rate_limit::Subject;
use store::limits::States;

/// A window that a request counts in.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) kind: LimitKind,
    /// Under which it is kept.
    pub(super) key: String,
    pub(super) rate: Rate,
    /// Whose admissions the log shows.
    pub(super) subject: Option<Subject>,
}

/// How a window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: LimitKind,
    pub(crate) rate: Rate,
    pub(crate) used: usize,
    /// In how many seconds one fewer counts; 0 where none does.
    pub(crate) eases_in: u32,
}

/// A request that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) limit: Standing,
    pub(crate) retry_after: u32,
    pub(super) key: String,
    pub(super) at: Timestamp,
}

/// What the windows say.
pub(super) enum Said {
    Admitted(Timestamp, Vec<Standing>),
    Refused(Refused, Vec<Standing>),
    /// Some are not there, and may have been.
    Lost,
}

/// What the log shows to have been admitted, for each window.
pub(super) type Seeds = Vec<Vec<(Timestamp, u32)>>;

/// In the order of the windows: who is refused by one counts in none.
pub(super) fn decide(states: &mut States<'_>, counted: &[Counted], seeds: Option<&Seeds>) -> Said {
    let now = states.now();
    let Some(mut windows) = windows(states, counted, seeds) else { return Said::Lost };
    let refused = counted.iter().zip(&windows).find_map(|(it, window)| it.refusal(window, now));
    for (place, (it, window)) in counted.iter().zip(&mut windows).enumerate() {
        let is_admitted = refused.is_none() && window.admit(now, it.rate).is_ok();
        if is_admitted || seeds.is_some() {
            let end = window.expires_at(it.rate);
            states.keep(place, window.clone(), end);
        }
    }
    let standings = standings(counted, &windows, now);
    refused.map_or(Said::Admitted(now, standings.clone()), |refused| Said::Refused(refused, standings))
}

/// `None` where one may be lost of which the log knows.
pub(super) fn windows(states: &mut States<'_>, counted: &[Counted], seeds: Option<&Seeds>) -> Option<Vec<Window>> {
    let now = states.now();
    let window = |(place, it): (usize, &Counted)| {
        if it.subject.is_none() || !states.may_be_lost(place, since(now, it.rate)) {
            return Some(states.get(place));
        }
        seeds.and_then(|seeds| seeds.get(place)).map(|seed| Window::of(seed.clone()))
    };
    counted.iter().enumerate().map(window).collect()
}

pub(super) fn since(now: Timestamp, rate: Rate) -> Timestamp {
    now.plus_seconds(-i64::from(rate.seconds()))
}

pub(super) fn keys(counted: &[Counted]) -> Vec<String> {
    counted.iter().map(|it| it.key.clone()).collect()
}

pub(super) fn standings(counted: &[Counted], windows: &[Window], now: Timestamp) -> Vec<Standing> {
    counted.iter().zip(windows).map(|(it, window)| it.standing(window, now)).collect()
}

impl Counted {
    fn standing(&self, window: &Window, now: Timestamp) -> Standing {
        let eases_in = window.eases_at(now, self.rate).map_or(0, |at| now.seconds_until(at));
        Standing { kind: self.kind, rate: self.rate, used: window.used(now, self.rate), eases_in }
    }

    pub(super) fn refusal(&self, window: &Window, now: Timestamp) -> Option<Refused> {
        let retry_after = now.seconds_until(window.blocked_until(now, self.rate)?);
        Some(Refused { limit: self.standing(window, now), retry_after, key: self.key.clone(), at: now })
    }
}
