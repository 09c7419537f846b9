//! Which windows a request counts in, and what they say: the rule that is heard by their states.

use domain::Timestamp;
use domain::limit::{Block, Rate, Window};
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

impl Refused {
    /// Whether it is what asks for replies that came too often.
    pub(crate) const fn is_of_turns(&self) -> bool {
        matches!(self.limit.kind, LimitKind::Service | LimitKind::User)
    }
}

/// What the windows say.
pub(super) type Said = Result<Admitted, Declined>;

pub(super) struct Admitted {
    pub(super) at: Timestamp,
    pub(super) standings: Vec<Standing>,
    /// For each window what was taken of it in advance.
    pub(super) taken: Vec<Option<Block>>,
}

pub(super) struct Declined {
    pub(super) refused: Refused,
    pub(super) standings: Vec<Standing>,
}

/// What the log shows to have been admitted, for each window.
pub(super) type Seeds = Vec<Vec<(Timestamp, u32)>>;

/// What one node knows of a window, and the others do not.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    /// Places that it took in advance, and has not handed out.
    pub(super) left_over: Vec<Block>,
    /// What it admitted by itself.
    pub(super) admitted: Window,
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.left_over.is_empty() && self.admitted == Window::default()
    }

    /// From now on all know it.
    fn tell(&self, window: &mut Window, rate: Rate) {
        for block in &self.left_over {
            window.give_back(block);
        }
        window.merge(&self.admitted, rate);
    }
}

/// In the order of the windows: who is refused by one counts in none. `None` where a window may be lost.
pub(super) fn decide(
    states: &mut States<'_>,
    counted: &[Counted],
    asides: &[Aside],
    seeds: Option<&Seeds>,
) -> Option<Said> {
    let (now, mut windows) = (states.now(), windows(states, counted, seeds)?);
    for (place, ((it, window), aside)) in counted.iter().zip(&mut windows).zip(asides).enumerate() {
        // What is made again of the log has all that.
        if !it.is_lost(states, place) {
            aside.tell(window, it.rate);
        }
    }
    let refused = counted.iter().zip(&windows).find_map(|(it, window)| it.refusal(window, now));
    let taken = match refused {
        None => counted.iter().zip(&mut windows).map(|(it, window)| it.admit(window, now)).collect(),
        Some(_) => Vec::new(),
    };
    let standings = standings(counted, &windows, now);
    for (place, (it, window)) in counted.iter().zip(windows).enumerate() {
        if refused.is_none() || seeds.is_some() || asides.get(place).is_some_and(|aside| !aside.is_empty()) {
            let end = window.expires_at(it.rate);
            states.keep(place, window, end);
        }
    }
    Some(match refused {
        None => Ok(Admitted { at: now, standings, taken }),
        Some(refused) => Err(Declined { refused, standings }),
    })
}

/// `None` where one may be lost.
pub(super) fn windows(states: &mut States<'_>, counted: &[Counted], seeds: Option<&Seeds>) -> Option<Vec<Window>> {
    let window = |(place, it): (usize, &Counted)| {
        if !it.is_lost(states, place) {
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

impl Standing {
    pub(crate) fn of(kind: LimitKind, rate: Rate, window: &Window, now: Timestamp) -> Self {
        let eases_in = window.eases_at(now, rate).map_or(0, |at| now.seconds_until(at));
        Self { kind, rate, used: window.used(now, rate), eases_in }
    }

    /// The same where some of those that count are nobody's.
    pub(super) fn without(self, left: usize) -> Self {
        let used = self.used.saturating_sub(left);
        Self { used, eases_in: if used == 0 { 0 } else { self.eases_in }, ..self }
    }
}

impl Counted {
    /// Whether the log would have to say what was admitted.
    fn is_lost(&self, states: &States<'_>, place: usize) -> bool {
        self.subject.is_some() && states.may_be_lost(place, since(states.now(), self.rate))
    }

    /// Admits one more, who was just seen to have room: the first of a block, where there is one to be taken.
    fn admit(&self, window: &mut Window, now: Timestamp) -> Option<Block> {
        let mut block = window.take(now, self.rate);
        if !block.as_mut().is_some_and(|block| block.admit(now, self.rate)) {
            let _ = window.admit(now, self.rate);
        }
        block
    }

    fn standing(&self, window: &Window, now: Timestamp) -> Standing {
        Standing::of(self.kind, self.rate, window, now)
    }

    pub(super) fn refusal(&self, window: &Window, now: Timestamp) -> Option<Refused> {
        let retry_after = now.seconds_until(window.blocked_until(now, self.rate)?);
        Some(Refused { limit: self.standing(window, now), retry_after, key: self.key.clone(), at: now })
    }
}
