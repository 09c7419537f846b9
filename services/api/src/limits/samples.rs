//! Which refusals the log hears of: the first one of each key and window, with how many there were since the last.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use domain::ids::NoticeId;
use domain::limit::{Rate, Unit, Window};
use domain::token::notice::LimitKind;
use moka::sync::Cache;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Samples {
    known: Cache<String, Arc<Mutex<Known>>>,
    of_strangers: Mutex<Window>,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Known {
    /// In which window it was last sampled, counted since 1970.
    sampled: Option<i64>,
    /// How many were refused since then.
    refused: u32,
}

/// What the log is to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The same on every node, so that one of them notes it.
    pub(crate) id: NoticeId,
    pub(crate) kind: LimitKind,
    pub(crate) refused: u32,
    key: String,
}

const A_MINUTE: i64 = 60;
/// Of how many keys this node knows.
const KEYS: u64 = 10_000;
/// So many a minute of those whom nobody knows: there may be as many addresses as somebody likes.
const OF_STRANGERS: Rate = Rate { most: NonZeroU32::MIN.saturating_add(59), unit: Unit::Minute };
/// What the ids of samples follow from.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c5d_6b8e_3a41_4f0b_9d27_51c2_8e0f_7a94);

impl Default for Samples {
    fn default() -> Self {
        Self { known: Cache::new(KEYS), of_strangers: Mutex::default() }
    }
}

impl Samples {
    /// Counts a refusal, and takes what is to be noted of it: once in a window, and in a minute.
    pub(super) fn take(&self, kind: LimitKind, key: &str, rate: Rate, now: Timestamp) -> Option<Sample> {
        let window = now.as_seconds().div_euclid(i64::from(rate.seconds()).max(A_MINUTE));
        let known = self.known.get_with_by_ref(key, Arc::default);
        let mut known = locked(&known);
        known.refused = known.refused.saturating_add(1);
        if known.sampled == Some(window) || !self.has_room(kind, now) {
            return None;
        }
        known.sampled = Some(window);
        let refused = std::mem::take(&mut known.refused);
        let id = Uuid::new_v5(&NAMESPACE, format!("{key} {window}").as_bytes()).into();
        Some(Sample { id, kind, refused, key: key.to_owned() })
    }

    pub(super) fn put_back(&self, sample: Sample) {
        let known = self.known.get_with(sample.key, Arc::default);
        let mut known = locked(&known);
        known.refused = known.refused.saturating_add(sample.refused);
    }

    fn has_room(&self, kind: LimitKind, now: Timestamp) -> bool {
        match kind {
            LimitKind::Service | LimitKind::User | LimitKind::Budget => true,
            LimitKind::Address | LimitKind::SignIn | LimitKind::Registration => {
                locked(&self.of_strangers).admit(now, OF_STRANGERS).is_ok()
            }
        }
    }
}

/// What a panic left behind is a number all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn taken(samples: &Samples, key: &str, seconds: i64) -> Option<(NoticeId, u32)> {
        let sample = samples.take(LimitKind::User, key, "10/minute".parse().unwrap(), NOW.plus_seconds(seconds));
        sample.map(|sample| (sample.id, sample.refused))
    }

    #[test]
    fn a_key_is_sampled_once_in_a_window_with_all_that_were_refused_since() {
        let samples = Samples::default();
        // This minute ends in 40 seconds.
        let (first, refused) = taken(&samples, "ann", 0).unwrap();
        assert_eq!(refused, 1);
        assert_eq!((taken(&samples, "ann", 1), taken(&samples, "ann", 39)), (None, None));
        let (other, refused) = taken(&samples, "bob", 2).unwrap();
        assert_eq!(refused, 1);
        let (next, refused) = taken(&samples, "ann", 40).unwrap();
        assert_eq!(refused, 3);
        assert!(first != other && first != next);
        assert_eq!(taken(&Samples::default(), "ann", 39), Some((first, 1)), "on another node, too");
    }

    #[test]
    fn of_a_short_window_there_is_no_sample_a_second() {
        let (samples, rate) = (Samples::default(), "2/second".parse().unwrap());
        let taken = (0..60).filter_map(|second| samples.take(LimitKind::User, "ann", rate, NOW.plus_seconds(second)));
        assert_eq!(taken.map(|sample| sample.refused).collect::<Vec<_>>(), [1, 40]);
    }

    #[test]
    fn what_is_put_back_is_told_of_next() {
        let samples = Samples::default();
        let sample = samples.take(LimitKind::User, "ann", "10/minute".parse().unwrap(), NOW).unwrap();
        samples.put_back(sample);
        assert_eq!(taken(&samples, "ann", 10), None);
        assert_eq!(taken(&samples, "ann", 60).unwrap().1, 3);
    }

    #[test]
    fn strangers_fill_no_log() {
        let samples = Samples::default();
        let of = |kind, number| samples.take(kind, &format!("{number}"), "10/minute".parse().unwrap(), NOW);
        assert_eq!((0..1_000).filter_map(|number| of(LimitKind::Address, number)).count(), 60);
        assert!(of(LimitKind::SignIn, 2_000).is_none() && of(LimitKind::User, 3_000).is_some());
    }
}
