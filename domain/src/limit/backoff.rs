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
    fn it_is_kept_in_json() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.admit(NOW), Ok(()));
        let kept = serde_json::to_string(&backoff).unwrap();
        assert_eq!(serde_json::from_str::<Backoff>(&kept).unwrap(), backoff);
    }
}
