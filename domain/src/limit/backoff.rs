//! Some failures are free; after each of the others one waits twice as long as after the one before.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What went wrong lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    failures: u32,
    blocked_until: Timestamp,
    last: Timestamp,
}

impl Backoff {
    /// So many cost no waiting.
    pub const FREE: u32 = 5;
    const LONGEST_SECONDS: i64 = 900;
    /// After so long without a failure all are forgotten.
    const FORGOTTEN_SECONDS: i64 = 86_400;

    /// Admits an attempt and counts it as a failure at once, so that many at the same time are no way around; or says
    /// until when to wait. Who succeeds starts anew, from the default.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if now < self.blocked_until {
            return Err(self.blocked_until);
        }
        let failures = if now < self.expires_at() { self.failures } else { 0 };
        let failures = failures.saturating_add(1);
        *self = Self { failures, blocked_until: now.plus_seconds(wait_after(failures)), last: now };
        Ok(())
    }

    /// Takes back the failure of an attempt that was admitted at that moment and then came to nothing: neither it nor a
    /// wait that it caused counts.
    pub fn withdraw(&mut self, admitted: Timestamp) {
        let failures = self.failures.saturating_sub(1);
        if failures == 0 {
            *self = Self::default();
            return;
        }
        // It was admitted, so nobody had to wait then: whoever waits now does for it, or for one that came after it.
        let wait = if self.last == admitted { 0 } else { wait_after(failures) };
        let blocked_until = self.blocked_until.min(self.last.plus_seconds(wait));
        *self = Self { failures, blocked_until, last: self.last };
    }

    /// How many went wrong.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// When it is as if nothing had happened.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.last.plus_seconds(Self::FORGOTTEN_SECONDS)
    }
}

fn wait_after(failures: u32) -> i64 {
    match failures.saturating_sub(Backoff::FREE) {
        0 => 0,
        more => 2_i64.checked_pow(more).map_or(Backoff::LONGEST_SECONDS, |wait| wait.min(Backoff::LONGEST_SECONDS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    #[test]
    fn five_are_free_and_then_each_wait_is_twice_the_one_before_up_to_a_quarter_of_an_hour() {
        let (mut backoff, mut now) = (Backoff::default(), NOW);
        for wait in [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900] {
            assert_eq!(backoff.admit(now), Ok(()));
            let until = now.plus_seconds(wait);
            if wait > 0 {
                assert_eq!(backoff.admit(now), Err(until));
                assert!(backoff.failures() > Backoff::FREE);
                assert_eq!(backoff.admit(Timestamp::from_micros(until.as_micros() - 1)), Err(until));
            }
            now = until;
        }
        assert_eq!(wait_after(u32::MAX), 900);
    }

    #[test]
    fn who_is_refused_does_not_wait_longer_for_it() {
        let mut backoff = Backoff { failures: 9, blocked_until: NOW.plus_seconds(10), last: NOW };
        let before = backoff;
        assert_eq!(backoff.admit(NOW), Err(NOW.plus_seconds(10)));
        assert_eq!(backoff, before);
    }

    #[test]
    fn after_a_day_all_is_forgotten() {
        let old = Backoff { failures: 9, blocked_until: NOW, last: NOW };
        let mut backoff = old;
        assert_eq!(backoff.admit(Timestamp::from_micros(old.expires_at().as_micros() - 1)), Ok(()));
        assert_eq!(backoff.failures, 10);
        let mut backoff = old;
        assert_eq!(backoff.admit(old.expires_at()), Ok(()));
        assert_eq!(backoff.failures, 1);
    }

    #[test]
    fn what_is_withdrawn_is_as_if_it_had_never_been() {
        let (mut backoff, mut now) = (Backoff::default(), NOW);
        for wait in [0, 0, 0, 0, 0, 2, 4, 8] {
            for _ in 0..3 {
                assert_eq!(backoff.admit(now), Ok(()));
                backoff.withdraw(now);
            }
            assert_eq!(backoff.admit(now), Ok(()));
            now = now.plus_seconds(wait);
            if wait > 0 {
                assert_eq!(backoff.admit(Timestamp::from_micros(now.as_micros() - 1)), Err(now));
            }
        }
        assert_eq!(backoff.failures, 8);
    }

    #[test]
    fn who_withdraws_late_leaves_the_wait_that_one_failure_less_costs() {
        let first = Backoff { failures: 6, blocked_until: NOW.plus_seconds(2), last: NOW };
        let mut backoff = first;
        assert_eq!(backoff.admit(NOW.plus_seconds(2)), Ok(()));
        backoff.withdraw(NOW);
        assert_eq!(backoff, Backoff { blocked_until: NOW.plus_seconds(4), last: NOW.plus_seconds(2), ..first });
        assert_eq!(backoff.admit(NOW.plus_seconds(3)), Err(NOW.plus_seconds(4)));
    }

    #[test]
    fn who_withdraws_what_is_forgotten_changes_nothing() {
        let mut backoff = Backoff::default();
        backoff.withdraw(NOW);
        assert_eq!(backoff, Backoff::default());
        assert_eq!(backoff.admit(NOW), Ok(()));
        backoff.withdraw(NOW);
        assert_eq!(backoff, Backoff::default());
    }

    #[test]
    fn it_is_kept_in_json() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.admit(NOW), Ok(()));
        let kept = serde_json::to_string(&backoff).unwrap();
        assert_eq!(serde_json::from_str::<Backoff>(&kept).unwrap(), backoff);
    }
}
