//! The keys of a provider: which of them may be presented now.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::ApiKey;

/// So long a key that was not accepted is left alone: somebody has to put it right first.
const DEAD: Duration = Duration::from_mins(10);
/// So long a key cools whose provider did not say how long.
const COOLING: Duration = Duration::from_secs(30);
/// Nobody is asked again at once, whatever they say.
const LEAST_COOLING: Duration = Duration::from_millis(250);
/// So long a key that refused one request comes after those that did not.
const LAST: Duration = Duration::from_secs(30);
/// Names of models are what people type: so many of them are remembered for each key, and no more.
const MOST: usize = 1_024;

/// All keys of a provider, taken in turn.
#[derive(Debug)]
pub struct KeyPool(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    slots: Vec<Slot>,
    next: usize,
}

#[derive(Debug)]
struct Slot {
    /// A provider without keys has one slot without a key.
    key: Option<ApiKey>,
    dead_until: Option<Instant>,
    /// By the model: vendors limit each on its own, and one may be closed to a key that opens the others.
    models: HashMap<String, State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Cooling(Instant),
    Last(Instant),
}

/// What a key is good for now, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Good,
    Last,
    Cooling(Instant),
    Dead,
}

/// A key that was taken, to say later how it went.
#[derive(Debug, Clone)]
pub struct Taken {
    pub key: Option<ApiKey>,
    slot: usize,
}

/// The keys that refused one reply, and are not presented again for that one.
#[derive(Debug, Default)]
pub struct Passed(Vec<usize>);

/// Why no key can be presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// The first of them may be presented again at that time.
    Cooling(Instant),
    Refused,
}

impl Taken {
    /// Which of the pool's it is, for the log: from 1 on.
    pub fn number(&self) -> usize {
        self.slot + 1
    }
}

impl State {
    fn until(self) -> Instant {
        match self {
            Self::Cooling(until) | Self::Last(until) => until,
        }
    }
}

impl Slot {
    fn standing(&self, model: &str, now: Instant) -> Standing {
        if self.dead_until.is_some_and(|until| now < until) {
            return Standing::Dead;
        }
        match self.models.get(model).filter(|state| now < state.until()) {
            None => Standing::Good,
            Some(State::Last(_)) => Standing::Last,
            Some(State::Cooling(until)) => Standing::Cooling(*until),
        }
    }

    fn set(&mut self, model: &str, state: State, now: Instant) {
        if self.models.len() >= MOST {
            self.models.retain(|_, other| now < other.until());
        }
        if self.models.len() < MOST || self.models.contains_key(model) {
            self.models.insert(model.to_owned(), state);
        }
    }
}

impl KeyPool {
    pub fn new(keys: Vec<ApiKey>) -> Self {
        let keys = if keys.is_empty() { vec![None] } else { keys.into_iter().map(Some).collect() };
        let slot = |key| Slot { key, dead_until: None, models: HashMap::new() };
        Self(Mutex::new(Slots { slots: keys.into_iter().map(slot).collect(), next: 0 }))
    }

    pub fn len(&self) -> usize {
        self.slots().slots.len()
    }

    /// The next key that may be presented for a model; one that refused another's request of late, only where there is
    /// no better: the fault may have been the request's.
    pub fn take(&self, model: &str, passed: &Passed, now: Instant) -> Result<Taken, Exhausted> {
        let mut guard = self.slots();
        let Slots { slots, next } = &mut *guard;
        let left = || slots.iter().enumerate().filter(|(at, _)| !passed.0.contains(at));
        let order = left().skip_while(|(at, _)| at < next).chain(left().take_while(|(at, _)| at < next));
        let standings = order.map(|(at, slot)| (slot.standing(model, now), at, slot));
        match standings.min_by_key(|(standing, ..)| *standing) {
            Some((Standing::Good | Standing::Last, at, slot)) => {
                *next = (at + 1) % slots.len();
                Ok(Taken { key: slot.key.clone(), slot: at })
            }
            Some((Standing::Cooling(until), ..)) => Err(Exhausted::Cooling(until)),
            Some((Standing::Dead, ..)) | None => Err(Exhausted::Refused),
        }
    }

    /// Its limit for that model is reached; the provider may have said for how long.
    pub fn cools(&self, taken: &Taken, model: &str, retry_after: Option<Duration>, now: Instant) {
        let until = now + retry_after.unwrap_or(COOLING).max(LEAST_COOLING);
        self.change(taken, |slot| slot.set(model, State::Cooling(until), now));
    }

    /// It does not serve this reply: whether it serves others is seen when they come. A limit still holds.
    pub fn passes(&self, taken: &Taken, model: &str, passed: &mut Passed, now: Instant) {
        passed.0.push(taken.slot);
        self.change(taken, |slot| {
            if slot.standing(model, now) <= Standing::Last {
                slot.set(model, State::Last(now + LAST), now);
            }
        });
    }

    /// It was not accepted.
    pub fn dies(&self, taken: &Taken, now: Instant) {
        self.change(taken, |slot| slot.dead_until = Some(now + DEAD));
    }

    fn change(&self, taken: &Taken, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots().slots.get_mut(taken.slot) {
            change(slot);
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "gpt-4o";

    fn pool(keys: &[&str]) -> KeyPool {
        KeyPool::new(keys.iter().map(|key| key.parse().unwrap()).collect())
    }

    fn name(taken: &Taken) -> &str {
        taken.key.as_ref().map_or("none", ApiKey::expose)
    }

    fn take(pool: &KeyPool, now: Instant) -> Result<Taken, Exhausted> {
        pool.take(MODEL, &Passed::default(), now)
    }

    fn taken(pool: &KeyPool, now: Instant) -> String {
        name(&take(pool, now).unwrap()).to_owned()
    }

    #[test]
    fn keys_are_taken_in_turn() {
        let (now, pool) = (Instant::now(), pool(&["a", "b"]));
        let order: Vec<_> = (0..5).map(|_| taken(&pool, now)).collect();
        assert_eq!(order, ["a", "b", "a", "b", "a"]);
    }

    #[test]
    fn a_key_at_its_limit_is_left_out_until_it_has_cooled() {
        let (now, pool) = (Instant::now(), pool(&["a", "b"]));
        let until = now + COOLING;
        pool.cools(&take(&pool, now).unwrap(), MODEL, None, now);
        assert_eq!([taken(&pool, now), taken(&pool, now)], ["b", "b"]);
        assert_eq!([taken(&pool, until), taken(&pool, until)], ["a", "b"]);
    }

    #[test]
    fn a_limit_still_holds_where_another_request_is_refused() {
        let (now, pool) = (Instant::now(), pool(&["a"]));
        let key = take(&pool, now).unwrap();
        pool.cools(&key, MODEL, None, now);
        pool.passes(&key, MODEL, &mut Passed::default(), now);
        assert_eq!(take(&pool, now).unwrap_err(), Exhausted::Cooling(now + COOLING));
    }

    #[test]
    fn a_key_that_was_not_accepted_is_left_out_for_ten_minutes_whatever_the_model() {
        let (now, pool) = (Instant::now(), pool(&["a"]));
        let key = take(&pool, now).unwrap();
        pool.cools(&key, MODEL, None, now);
        pool.dies(&key, now);
        for model in [MODEL, "gpt-5"] {
            let taken = pool.take(model, &Passed::default(), now + DEAD - Duration::from_secs(1));
            assert_eq!(taken.unwrap_err(), Exhausted::Refused);
        }
        assert_eq!(taken(&pool, now + DEAD), "a");
    }

    #[test]
    fn a_key_that_refused_one_request_comes_last_for_half_a_minute() {
        let (now, pool) = (Instant::now(), pool(&["a", "b"]));
        let mut passed = Passed::default();
        pool.passes(&take(&pool, now).unwrap(), MODEL, &mut passed, now);
        assert_eq!([taken(&pool, now), taken(&pool, now)], ["b", "b"]);
        assert_eq!(name(&pool.take(MODEL, &passed, now + LAST).unwrap()), "b", "that one does not see it again");
        assert_eq!([taken(&pool, now + LAST), taken(&pool, now + LAST)], ["a", "b"]);
    }

    #[test]
    fn where_every_key_refused_one_request_the_next_may_still_try() {
        let (now, pool) = (Instant::now(), pool(&["a", "b"]));
        let mut passed = Passed::default();
        for _ in 0..2 {
            pool.passes(&pool.take(MODEL, &passed, now).unwrap(), MODEL, &mut passed, now);
        }
        assert_eq!(pool.take(MODEL, &passed, now).unwrap_err(), Exhausted::Refused);
        assert_eq!([taken(&pool, now), taken(&pool, now)], ["a", "b"]);
    }

    #[test]
    fn where_none_is_left_it_says_when_the_first_is_back() {
        let now = Instant::now();
        let pool = pool(&["a", "b", "c", "d"]);
        for seconds in [9, 4] {
            pool.cools(&take(&pool, now).unwrap(), MODEL, Some(Duration::from_secs(seconds)), now);
        }
        pool.dies(&take(&pool, now).unwrap(), now);
        let mut passed = Passed::default();
        pool.passes(&take(&pool, now).unwrap(), MODEL, &mut passed, now);
        assert_eq!(pool.take(MODEL, &passed, now).unwrap_err(), Exhausted::Cooling(now + Duration::from_secs(4)));
    }

    #[test]
    fn a_provider_that_wants_to_be_asked_again_at_once_is_not() {
        let (now, pool) = (Instant::now(), pool(&["a"]));
        pool.cools(&take(&pool, now).unwrap(), MODEL, Some(Duration::ZERO), now);
        assert_eq!(take(&pool, now).unwrap_err(), Exhausted::Cooling(now + LEAST_COOLING));
    }

    #[test]
    fn names_that_people_type_do_not_fill_the_memory() {
        let (now, pool) = (Instant::now(), pool(&["a"]));
        let key = take(&pool, now).unwrap();
        pool.cools(&key, MODEL, Some(COOLING * 2), now);
        for number in 0..MOST * 2 {
            pool.cools(&key, &format!("mine/{number}"), None, now);
        }
        let remembered = || pool.slots().slots.iter().map(|slot| slot.models.len()).sum::<usize>();
        assert_eq!(remembered(), MOST);
        let later = now + COOLING;
        pool.cools(&key, "gpt-5", None, later);
        assert_eq!(remembered(), 2, "what is over is forgotten");
        assert_eq!(take(&pool, later).unwrap_err(), Exhausted::Cooling(now + COOLING * 2));
    }

    #[test]
    fn a_provider_without_keys_is_asked_without_one() {
        assert_eq!(taken(&pool(&[]), Instant::now()), "none");
    }
}
