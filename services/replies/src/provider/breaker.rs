//! A model that fails again and again is left alone for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const FAILURES: u32 = 5;
const REST: Duration = Duration::from_secs(30);
/// Names are what people type: so many of them are remembered, and no more.
const MOST: usize = 1_024;

/// One breaker for each provider and model that failed of late.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Breaker {
    /// In a row.
    failures: u32,
    /// Nobody may ask before.
    rests_until: Option<Instant>,
}

impl Breakers {
    /// Whether it may be asked now. After its rest one may try; whoever comes meanwhile is refused as before. A trial
    /// that never tells its end, because its reply was stopped, is followed by another after as long a rest.
    pub fn admits(&self, model: &str, now: Instant) -> bool {
        self.change(model, |breaker| match breaker.rests_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                breaker.rests_until = Some(now + REST);
                true
            }
        })
    }

    /// It speaks, or answered in another way: it is there again. One more failure makes it rest anew, until an answer has
    /// come to its end.
    pub fn speaks(&self, model: &str) {
        self.change(model, |breaker| {
            breaker.rests_until = None;
            breaker.failures = breaker.failures.min(FAILURES - 1);
        });
    }

    pub fn succeeded(&self, model: &str) {
        self.change(model, |breaker| *breaker = Breaker::default());
    }

    pub fn failed(&self, model: &str, now: Instant) {
        self.change(model, |breaker| {
            breaker.failures = breaker.failures.saturating_add(1);
            if breaker.failures >= FAILURES {
                breaker.rests_until = Some(now + REST);
            }
        });
    }

    fn change<T>(&self, model: &str, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut breaker = all.remove(model).unwrap_or_default();
        let result = change(&mut breaker);
        if breaker != Breaker::default() {
            if all.len() >= MOST {
                all.retain(|_, other| other.rests_until.is_some());
            }
            if all.len() < MOST {
                all.insert(model.to_owned(), breaker);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "openai/gpt-4o";

    fn failed(times: u32, now: Instant) -> Breakers {
        let breakers = Breakers::default();
        (0..times).for_each(|_| breakers.failed(MODEL, now));
        breakers
    }

    #[test]
    fn five_failures_in_a_row_make_it_rest() {
        let now = Instant::now();
        assert!(failed(FAILURES - 1, now).admits(MODEL, now));
        let breakers = failed(FAILURES, now);
        assert!(!breakers.admits(MODEL, now));
        assert!(!breakers.admits(MODEL, now + REST.saturating_sub(Duration::from_millis(1))));
        assert!(breakers.admits("openai/gpt-5", now), "another model is another matter");
    }

    #[test]
    fn a_success_between_failures_counts() {
        let now = Instant::now();
        let breakers = failed(FAILURES - 1, now);
        breakers.succeeded(MODEL);
        breakers.failed(MODEL, now);
        assert!(breakers.admits(MODEL, now));
    }

    #[test]
    fn after_its_rest_one_may_try_and_the_end_of_that_decides() {
        let now = Instant::now();
        let later = now + REST;
        for succeeds in [true, false] {
            let breakers = failed(FAILURES, now);
            assert!(breakers.admits(MODEL, later), "the trial");
            assert!(!breakers.admits(MODEL, later), "nobody beside it");
            if succeeds {
                breakers.succeeded(MODEL);
            } else {
                breakers.failed(MODEL, later);
            }
            assert_eq!(breakers.admits(MODEL, later), succeeds);
        }
    }

    #[test]
    fn a_trial_without_an_end_does_not_close_it_for_ever() {
        let now = Instant::now();
        let breakers = failed(FAILURES, now);
        assert!(breakers.admits(MODEL, now + REST));
        assert!(breakers.admits(MODEL, now + REST * 2));
    }

    #[test]
    fn one_that_speaks_again_is_one_failure_from_its_rest() {
        let now = Instant::now();
        let breakers = failed(FAILURES, now);
        breakers.speaks(MODEL);
        assert!(breakers.admits(MODEL, now));
        breakers.failed(MODEL, now);
        assert!(!breakers.admits(MODEL, now));
    }

    #[test]
    fn names_that_people_type_do_not_fill_the_memory() {
        let now = Instant::now();
        let breakers = failed(FAILURES, now);
        for number in 0..MOST * 3 {
            breakers.failed(&format!("mine/{number}"), now);
            breakers.succeeded(&format!("yours/{number}"));
        }
        assert!(breakers.0.lock().unwrap().len() <= MOST);
        assert!(!breakers.admits(MODEL, now), "one that rests is not forgotten");
    }
}
