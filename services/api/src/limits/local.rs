//! What a node admits by itself while the windows can't be reached: a part of what is allowed, so that all nodes together admit
//! not much more.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;
use domain::limit::{Rate, Window};
use moka::sync::Cache;

use super::windows::{Admitted, Counted, Declined, Said, standings};

#[derive(Debug)]
pub(super) struct Local {
    windows: Cache<String, Arc<Mutex<Window>>>,
    is_needed: AtomicBool,
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
        let mut locked: Vec<_> = held.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let refused = counted.iter().zip(&locked).find_map(|(it, window)| it.refusal(window, now));
        if refused.is_none() {
            for (it, window) in counted.iter().zip(&mut locked) {
                // It was just seen to have room.
                let _ = window.admit(now, it.rate);
            }
        }
        let windows: Vec<Window> = locked.iter().map(|window| Window::clone(window)).collect();
        let standings = standings(&counted, &windows, now);
        match refused {
            None => Ok(Admitted { at: now, standings, taken: Vec::new() }),
            Some(refused) => Err(Declined { refused, standings }),
        }
    }
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
}
