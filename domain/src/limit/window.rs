//! A sliding window: never more than the limit in any of them, and never a refusal while there were fewer.
//!
//! Exact to the microsecond where a window takes a thousand or fewer. Of one that takes more, what comes within the same
//! hundredth of it is counted as if it had come with its end: never too many, and a place is free again a hundredth late.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::Timestamp;

/// What was admitted lately, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<i64>", from = "Vec<i64>")]
pub struct Window {
    runs: Vec<Run>,
}

/// So many at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    at: Timestamp,
    count: usize,
}

/// By how much the clocks of nodes may differ: so much longer is a time remembered than its window lasts.
const SKEW_SECONDS: i64 = 5;
/// How many a window may take whose every microsecond counts; and how finely one that takes more is divided.
pub(super) const EXACT: usize = 1_000;
pub(super) const PARTS: i64 = 100;

impl Window {
    /// A window of what is known to have been admitted, each time with how many.
    #[must_use]
    pub fn of(mut admitted: Vec<(Timestamp, u32)>) -> Self {
        admitted.sort_unstable();
        Self { runs: admitted.into_iter().map(|(at, count)| Run { at, count: count as usize }).collect() }
    }

    /// Admits one more, or says when the next one would be.
    pub fn admit(&mut self, now: Timestamp, rate: Rate) -> Result<(), Timestamp> {
        if let Some(until) = self.blocked_until(now, rate) {
            return Err(until);
        }
        self.add(now, rate, 1);
        Ok(())
    }

    pub(super) fn add(&mut self, now: Timestamp, rate: Rate, count: usize) {
        let remembered = i64::from(rate.seconds()) + SKEW_SECONDS;
        self.runs.retain(|run| run.at.plus_seconds(remembered) > now);
        let at = counts_at(now, rate);
        // Another node's clock may be ahead of this one's.
        let place = self.runs.partition_point(|run| run.at <= at);
        match place.checked_sub(1).and_then(|before| self.runs.get_mut(before)) {
            Some(run) if run.at == at => run.count += count,
            Some(_) | None => self.runs.insert(place, Run { at, count }),
        }
    }

    /// Takes in what was admitted elsewhere.
    pub fn merge(&mut self, elsewhere: &Self, rate: Rate) {
        for run in &elsewhere.runs {
            self.add(run.at, rate, run.count);
        }
    }

    /// When the next one would be admitted, where none is now.
    #[must_use]
    pub fn blocked_until(&self, now: Timestamp, rate: Rate) -> Option<Timestamp> {
        let used = self.used(now, rate);
        let mut left = used.checked_sub(rate.most())? + 1;
        self.counted(now, rate).find_map(|run| {
            left = left.saturating_sub(run.count);
            (left == 0).then(|| run.at.plus_seconds(rate.seconds().into()))
        })
    }

    /// Takes back one that was admitted at that moment, if it is still there. Whether it was.
    pub fn withdraw(&mut self, admitted: Timestamp, rate: Rate) -> bool {
        let at = counts_at(admitted, rate);
        let is_there = self.runs.iter().any(|run| run.at == at);
        self.subtract(at, 1);
        is_there
    }

    pub(super) fn subtract(&mut self, at: Timestamp, count: usize) {
        for run in self.runs.iter_mut().filter(|run| run.at == at) {
            run.count = run.count.saturating_sub(count);
        }
        self.runs.retain(|run| run.count > 0);
    }

    /// How many came at the same time, as far as such a window tells times apart.
    pub(super) fn together(&self, now: Timestamp, rate: Rate) -> usize {
        let at = counts_at(now, rate);
        self.runs.iter().filter(|run| run.at == at).map(|run| run.count).sum()
    }

    /// How many count at a moment.
    #[must_use]
    pub fn used(&self, now: Timestamp, rate: Rate) -> usize {
        self.counted(now, rate).map(|run| run.count).sum()
    }

    /// When one fewer will count than does now; `None` where none does.
    #[must_use]
    pub fn eases_at(&self, now: Timestamp, rate: Rate) -> Option<Timestamp> {
        self.counted(now, rate).next().map(|run| run.at.plus_seconds(rate.seconds().into()))
    }

    fn counted(&self, now: Timestamp, rate: Rate) -> impl Iterator<Item = Run> {
        let seconds = i64::from(rate.seconds());
        // What another node's clock has put ahead counts; what no clock can mean does not.
        let ahead = now.plus_seconds(seconds + SKEW_SECONDS);
        let near = move |run: &Run| run.at.plus_seconds(seconds) > now && ahead > run.at;
        self.runs.iter().copied().filter(near)
    }

    /// When nothing in it counts any more.
    #[must_use]
    pub fn expires_at(&self, rate: Rate) -> Timestamp {
        self.runs
            .last()
            .map_or(Timestamp::default(), |last| last.at.plus_seconds(i64::from(rate.seconds()) + SKEW_SECONDS))
    }
}

/// As coming when a moment counts: the end of the part of time in which it lies, where a window is divided into parts; else it is
/// a part by itself.
pub(super) fn counts_at(moment: Timestamp, rate: Rate) -> Timestamp {
    let part = if rate.most() > EXACT { i64::from(rate.seconds()) * 1_000_000 / PARTS } else { 1 };
    let micros = moment.as_micros();
    Timestamp::from_micros(micros.saturating_add(part - 1 - micros.rem_euclid(part)))
}

/// How it is kept: each run as how long it came after the one before, in microseconds, and how many it is.
impl From<Window> for Vec<i64> {
    fn from(window: Window) -> Self {
        let mut before = 0;
        let step = |run: Run| {
            let step = run.at.as_micros() - before;
            before = run.at.as_micros();
            [step, i64::try_from(run.count).unwrap_or(i64::MAX)]
        };
        window.runs.into_iter().flat_map(step).collect()
    }
}

/// Whatever was not kept so counts nothing.
impl From<Vec<i64>> for Window {
    fn from(kept: Vec<i64>) -> Self {
        let (pairs, _) = kept.as_chunks::<2>();
        let mut at = 0_i64;
        let runs = pairs.iter().filter_map(|[step, count]| {
            at = at.saturating_add(*step);
            let count = usize::try_from(*count).ok().filter(|count| *count > 0)?;
            Some(Run { at: Timestamp::from_micros(at), count })
        });
        Self { runs: runs.collect() }
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
        assert_eq!(kept, "[1700000000000000,1]");
        assert_eq!(serde_json::from_str::<Window>(&kept).unwrap(), window);
    }

    #[test]
    fn what_is_withdrawn_counts_no_more() {
        let (mut window, rate) = (Window::default(), rate("3/minute"));
        for micros in [0, 0, 10] {
            assert_eq!(window.admit(at(micros), rate), Ok(()));
        }
        assert!(window.withdraw(at(0), rate));
        assert_eq!(window.used(at(10), rate), 2);
        assert_eq!(window.admit(at(20), rate), Ok(()));
        assert_eq!(window.admit(at(20), rate), Err(at(60_000_000)));
        assert!([-1, 5, 30].iter().all(|other| !window.withdraw(at(*other), rate)), "there was none then");
        assert_eq!(window.used(at(30), rate), 3);
    }

    #[test]
    fn it_can_be_made_of_what_is_known() {
        let rate = rate("5/minute");
        let window = Window::of(vec![(at(10), 2), (at(-70_000_000), 9), (at(0), 1)]);
        assert_eq!((window.used(at(20), rate), window.eases_at(at(20), rate)), (3, Some(at(60_000_000))));
        assert_eq!(Window::default().eases_at(NOW, rate), None);
    }

    #[test]
    fn what_was_admitted_elsewhere_counts_as_if_it_had_been_here() {
        for (rate, parts) in [(rate("5/minute"), 4), (rate("5000/minute"), 2)] {
            let [mut here, mut elsewhere, mut all] = [const { Window { runs: Vec::new() } }; 3];
            for (micros, is_here) in [(0, true), (10, false), (600_000, false), (600_001, true)] {
                let window = if is_here { &mut here } else { &mut elsewhere };
                assert_eq!((window.admit(at(micros), rate), all.admit(at(micros), rate)), (Ok(()), Ok(())));
            }
            here.merge(&elsewhere, rate);
            assert_eq!((&here, here.runs.len()), (&all, parts));
        }
    }

    #[test]
    fn a_large_window_is_small() {
        let (mut window, rate) = (Window::default(), rate("1000000/minute"));
        for step in 0..20_000 {
            assert_eq!(window.admit(at(step * 5_000), rate), Ok(()));
        }
        let used = window.used(at(99_999_999), rate);
        assert!((12_000..12_120).contains(&used), "{used}: a part is counted to its end");
        assert!(window.runs.len() < 110, "{}", window.runs.len());
    }
}
