//! A moment, as the log keeps it: microseconds since 1970, so that it sorts on every engine.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// How long to wait for a moment in whole seconds, at least one: who waits so long is not too early.
    #[must_use]
    pub fn seconds_until(self, later: Self) -> u32 {
        let micros = later.0.saturating_sub(self.0).max(1);
        u32::try_from(micros.saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn seconds_are_whole_and_rounded_down_before_1970_too() {
        for (micros, seconds) in [(0, 0), (999_999, 0), (1_000_000, 1), (-1, -1), (-1_000_000, -1), (-1_000_001, -2)] {
            assert_eq!(Timestamp::from_micros(micros).as_seconds(), seconds);
        }
    }

    #[test]
    fn adding_stops_at_the_end_of_time() {
        assert_eq!(Timestamp::from_micros(5).plus_seconds(2), Timestamp::from_micros(2_000_005));
        assert_eq!(Timestamp::from_micros(5).plus_seconds(-2), Timestamp::from_micros(-1_999_995));
        assert_eq!(Timestamp::from_micros(5).plus_seconds(i64::MAX).as_micros(), i64::MAX);
        assert_eq!(Timestamp::from_micros(-5).plus_seconds(i64::MIN).as_micros(), i64::MIN);
    }

    #[test]
    fn one_waits_whole_seconds_and_at_least_one() {
        let now = Timestamp::from_micros(5);
        for (micros, seconds) in
            [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (900_000_000, 900), (i64::MAX, u32::MAX)]
        {
            assert_eq!(now.seconds_until(Timestamp::from_micros(micros.saturating_add(5))), seconds);
        }
        assert_eq!(now.seconds_until(Timestamp::from_micros(0)), 1);
    }

    #[test]
    fn in_json_it_is_its_microseconds() {
        let json = serde_json::to_string(&Timestamp::from_micros(1_700_000_000_000_000)).unwrap();
        assert_eq!(json, "1700000000000000");
    }
}
