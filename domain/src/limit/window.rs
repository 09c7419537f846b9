//! A sliding window: never more than the limit in any of them, and never a refusal while there were fewer.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::Timestamp;

/// When something was admitted lately, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window {
    times: Vec<Timestamp>,
}

/// By how much the clocks of nodes may differ: so much longer is a time remembered than its window lasts.
const SKEW_SECONDS: i64 = 5;

impl Window {
    /// Admits one more, or says when the next one would be.
    pub fn admit(&mut self, now: Timestamp, rate: Rate) -> Result<(), Timestamp> {
        let seconds = i64::from(rate.seconds());
        self.times.retain(|time| time.plus_seconds(seconds + SKEW_SECONDS) > now);
        // Another node's clock may be ahead of this one's.
        let counted: Vec<Timestamp> = self.counted(now, rate).collect();
        let first_to_go = counted.len().checked_sub(rate.most()).and_then(|at| counted.get(at));
        if let Some(first_to_go) = first_to_go {
            return Err(first_to_go.plus_seconds(seconds));
        }
        let at = self.times.partition_point(|time| *time <= now);
        self.times.insert(at, now);
        Ok(())
    }

    /// How many count at a moment.
    #[must_use]
    pub fn used(&self, now: Timestamp, rate: Rate) -> usize {
        self.counted(now, rate).count()
    }

    fn counted(&self, now: Timestamp, rate: Rate) -> impl Iterator<Item = Timestamp> {
        let seconds = i64::from(rate.seconds());
        let near = move |time: &Timestamp| time.plus_seconds(seconds) > now && now.plus_seconds(seconds) > *time;
        self.times.iter().copied().filter(near)
    }

    /// When nothing in it counts any more.
    #[must_use]
    pub fn expires_at(&self, rate: Rate) -> Timestamp {
        self.times
            .last()
            .map_or(Timestamp::default(), |last| last.plus_seconds(i64::from(rate.seconds()) + SKEW_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(NOW.as_micros() + micros)
    }

    #[test]
    fn the_limit_is_admitted_and_then_one_for_each_that_grows_old() {
        let (mut window, rate) = (Window::default(), rate("2/minute"));
        assert_eq!(window.admit(at(0), rate), Ok(()));
        assert_eq!(window.admit(at(10), rate), Ok(()));
        assert_eq!(window.used(at(20), rate), 2);
        assert_eq!(window.admit(at(20), rate), Err(at(60_000_000)));
        assert_eq!(window.admit(at(59_999_999), rate), Err(at(60_000_000)));
        assert_eq!(window.admit(at(60_000_000), rate), Ok(()));
        assert_eq!(window.admit(at(60_000_000), rate), Err(at(60_000_010)));
        assert_eq!(window.used(at(60_000_000), rate), 2);
        assert_eq!(window.used(at(200_000_000), rate), 0);
    }

    #[test]
    fn a_clock_that_is_behind_admits_no_more() {
        let (mut window, rate) = (Window::default(), rate("2/minute"));
        for micros in [0, 60_000_000] {
            assert_eq!(window.admit(at(micros), rate), Ok(()));
        }
        // Another node's clock, one second behind: both of those count.
        assert_eq!(window.admit(at(59_000_000), rate), Err(at(60_000_000)));
    }

    #[test]
    fn a_lower_limit_counts_at_once() {
        let mut window = Window::default();
        for micros in 0..5 {
            assert_eq!(window.admit(at(micros), rate("5/minute")), Ok(()));
        }
        assert_eq!(window.admit(at(5), rate("2/minute")), Err(at(60_000_003)));
    }

    #[test]
    fn it_is_kept_as_a_list_of_times_and_expires_when_none_counts() {
        let (mut window, rate) = (Window::default(), rate("2/second"));
        assert_eq!(window.expires_at(rate), Timestamp::default());
        assert_eq!(window.admit(NOW, rate), Ok(()));
        assert_eq!(window.expires_at(rate), NOW.plus_seconds(6));
        let kept = serde_json::to_string(&window).unwrap();
        assert_eq!(kept, "[1700000000000000]");
        assert_eq!(serde_json::from_str::<Window>(&kept).unwrap(), window);
    }
}
