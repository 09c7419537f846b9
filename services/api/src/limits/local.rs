//! What a node admits by itself while the windows can't be reached: a part of what is allowed, so that all nodes together admit
//! not much more.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use domain::limit::{Rate, Window};
use moka::sync::Cache;

use super::windows::{Admitted, Counted, Declined, Said, standings};

#[derive(Debug)]
pub(super) struct Local {
    windows: Cache<String, Arc<Mutex<Known>>>,
    is_needed: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    window: Window,
    /// What of it no other node knows.
    untold: Window,
}

/// Which part of a limit.
const PART: u32 = 4;
/// Of how many windows this node knows.
const WINDOWS: u64 = 10_000;

impl Default for Local {
    fn default() -> Self {
        Self { windows: Cache::new(WINDOWS), is_needed: AtomicBool::new(false) }
    }
}

impl Local {
    pub(super) fn is_needed(&self) -> bool {
        self.is_needed.load(Ordering::Relaxed)
    }

    pub(super) fn is_not_needed(&self) {
        if self.is_needed.swap(false, Ordering::Relaxed) {
            tracing::info!("limits are decided by all nodes again");
        }
    }

    /// In the order of the windows, as elsewhere.
    pub(super) fn decide(&self, counted: &[Counted], now: Timestamp) -> Said {
        if !self.is_needed.swap(true, Ordering::Relaxed) {
            tracing::warn!("limits are decided by this node alone: it admits a quarter of each");
        }
        let counted: Vec<Counted> = counted.iter().map(|it| Counted { rate: part(it.rate), ..it.clone() }).collect();
        let held: Vec<_> = counted.iter().map(|it| self.windows.get_with(it.key.clone(), Arc::default)).collect();
        // The address' comes first in all of them, then the service's, so that no two wait for each other.
        let mut all: Vec<_> = held.iter().map(|it| locked(it)).collect();
        let refused = counted.iter().zip(&all).find_map(|(it, known)| it.refusal(&known.window, now));
        if refused.is_none() {
            for (it, known) in counted.iter().zip(&mut all) {
                // It was just seen to have room.
                let _ = (known.window.admit(now, it.rate), known.untold.admit(now, it.rate));
            }
        }
        let windows: Vec<Window> = all.iter().map(|known| known.window.clone()).collect();
        let standings = standings(&counted, &windows, now);
        match refused {
            None => Ok(Admitted { at: now, standings, taken: Vec::new() }),
            Some(refused) => Err(Declined { refused, standings }),
        }
    }

    /// Takes what was admitted under a key and is told to all now.
    pub(super) fn untold(&self, key: &str) -> Window {
        self.windows.get(key).map(|known| std::mem::take(&mut locked(&known).untold)).unwrap_or_default()
    }

    /// The same, for who only looks.
    pub(super) fn is_untold(&self, key: &str) -> Window {
        self.windows.get(key).map(|known| locked(&known).untold.clone()).unwrap_or_default()
    }

    /// It could not be told.
    pub(super) fn put_back(&self, key: &str, untold: Window, rate: Rate) {
        if let Some(known) = self.windows.get(key) {
            locked(&known).untold.merge(&untold, part(rate));
        }
    }

    /// Takes back what was admitted here at that moment, if nobody has been told of it. Whether it was.
    pub(super) fn withdraw(&self, it: &Counted, admitted: Timestamp) -> bool {
        let Some(known) = self.windows.get(&it.key) else { return false };
        let (mut known, rate) = (locked(&known), part(it.rate));
        known.untold.withdraw(admitted, rate) && known.window.withdraw(admitted, rate)
    }
}

/// What a panic left behind is a window all the same.
fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part(rate: Rate) -> Rate {
    Rate { most: NonZeroU32::new(rate.most.get() / PART).unwrap_or(NonZeroU32::MIN), ..rate }
}

#[cfg(test)]
mod tests {
    use domain::token::notice::LimitKind;

    use super::*;

    #[test]
    fn a_node_admits_a_quarter_of_what_is_allowed_and_at_least_one() {
        for (rate, most) in [("100/minute", 25), ("10/minute", 2), ("3/minute", 1)] {
            let (local, now) = (Local::default(), Timestamp::from_micros(1_700_000_000_000_000));
            assert!(!local.is_needed());
            let counted =
                [Counted { kind: LimitKind::User, key: "ann".to_owned(), rate: rate.parse().unwrap(), subject: None }];
            let admitted = (0..200).filter(|_| local.decide(&counted, now).is_ok());
            assert_eq!(admitted.count(), most, "{rate}");
            assert!(local.decide(&counted, now.plus_seconds(60)).is_ok(), "{rate}");
            assert!(local.is_needed());
            local.is_not_needed();
            assert!(!local.is_needed());
        }
    }

    #[test]
    fn what_it_admitted_is_told_once_and_what_was_taken_back_never() {
        let (local, now) = (Local::default(), Timestamp::from_micros(1_700_000_000_000_000));
        let it =
            Counted { kind: LimitKind::User, key: "ann".to_owned(), rate: "20/minute".parse().unwrap(), subject: None };
        let later = |micros: i64| Timestamp::from_micros(now.as_micros() + micros);
        assert!((0..4).all(|micros| local.decide(std::slice::from_ref(&it), later(micros)).is_ok()));
        assert!(local.withdraw(&it, later(1)) && !local.withdraw(&it, later(9)));
        let untold = local.untold("ann");
        assert_eq!((untold.used(now, it.rate), local.untold("ann")), (3, Window::default()));
        assert!(!local.withdraw(&it, later(2)), "all know of it");
        local.put_back("ann", untold, it.rate);
        assert_eq!(local.untold("ann").used(now, it.rate), 3);
        let more = (4..9).filter(|micros| local.decide(std::slice::from_ref(&it), later(*micros)).is_ok());
        assert_eq!(more.count(), 2, "what it told it still counts");
    }
}
