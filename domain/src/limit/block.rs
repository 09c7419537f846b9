//! Places of a window of more than a thousand, taken in advance: one node hands them out by itself for a moment, so that not every
//! request is a decision of all nodes. They count as if all of them came when the last of them may: never too many. Those that are
//! left over are given back with the next that is decided.

use super::Rate;
use super::window::{EXACT, PARTS, Window, counts_at};
use crate::Timestamp;

/// What one node may hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    rate: Rate,
    /// As coming when its places count.
    at: Timestamp,
    until: Timestamp,
    left: usize,
    used: usize,
    eases_at: Option<Timestamp>,
}

/// A five-hundredth of a window is a block.
const SIZE: usize = 500;
/// No block is taken where a fiftieth of the window counts at the same time already.
const TOGETHER: usize = 50;
/// Nor where half of it is used.
const FILLED: usize = 2;
/// How long a block lasts: three hundredths of its window, and no longer than this.
const LASTS: i64 = 3;
const LASTS_MICROS: i64 = 2_000_000;

impl Window {
    /// Takes a block, where that leaves the others plenty.
    pub fn take(&mut self, now: Timestamp, rate: Rate) -> Option<Block> {
        let (most, until) = (rate.most(), lasts_until(now, rate));
        let is_plenty = self.used(now, rate) < most / FILLED && self.together(until, rate) < most / TOGETHER;
        if most <= EXACT || !is_plenty {
            return None;
        }
        let (at, left) = (counts_at(until, rate), most / SIZE);
        self.add(until, rate, left);
        let (used, eases_at) = (self.used(now, rate), self.eases_at(now, rate));
        Some(Block { rate, at, until, left, used, eases_at })
    }

    /// Takes back what is left of a block.
    pub fn give_back(&mut self, block: &Block) {
        self.subtract(block.at, block.left);
    }
}

impl Block {
    /// Hands out a place, where one is left for now.
    pub fn admit(&mut self, now: Timestamp, rate: Rate) -> bool {
        let is_there = self.left > 0 && self.lasts(now) && self.rate == rate;
        self.left -= usize::from(is_there);
        is_there
    }

    /// Whether it may still be handed out.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> bool {
        now <= self.until
    }

    /// As coming when its places count.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Takes back a place, if it counts when these do.
    pub fn withdraw(&mut self, at: Timestamp, rate: Rate) -> bool {
        let counts_with_it = self.rate == rate && at == self.at;
        self.left += usize::from(counts_with_it);
        counts_with_it
    }

    /// Takes in another one that counts at the same time; gives it back where it does not.
    pub fn merge(&mut self, other: Self) -> Option<Self> {
        if (self.at, self.rate) != (other.at, other.rate) {
            return Some(other);
        }
        self.left += other.left;
        self.used = self.used.max(other.used);
        self.until = self.until.max(other.until);
        None
    }

    /// How many of a window's places it has that count and nobody has taken.
    #[must_use]
    pub fn left(&self, now: Timestamp, rate: Rate) -> usize {
        let counts = self.rate == rate && self.at.plus_seconds(rate.seconds().into()) > now;
        if counts { self.left } else { 0 }
    }

    /// How many of the window counted when it was taken, its own among them.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// When one fewer will.
    #[must_use]
    pub const fn eases_at(&self) -> Option<Timestamp> {
        self.eases_at
    }
}

fn lasts_until(now: Timestamp, rate: Rate) -> Timestamp {
    let lasts = (i64::from(rate.seconds()) * 1_000_000 / PARTS * LASTS).min(LASTS_MICROS);
    Timestamp::from_micros(now.as_micros().saturating_add(lasts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Unit;
    use crate::testing::NOW;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(NOW.as_micros() + millis * 1_000)
    }

    #[test]
    fn a_block_counts_when_it_is_taken_and_what_is_left_comes_back() {
        let (mut window, rate) = (Window::default(), rate("5000/minute"));
        let mut block = window.take(at(0), rate).unwrap();
        assert_eq!((window.used(at(0), rate), block.left(at(0), rate), block.used()), (10, 10, 10));
        assert!((0..4).all(|_| block.admit(at(1), rate)));
        assert!(block.withdraw(block.at(), rate) && !block.withdraw(at(1), rate));
        assert_eq!((block.left(at(1), rate), block.left(at(62_200), rate)), (7, 0));
        window.give_back(&block);
        assert_eq!(window.used(at(1), rate), 3);
        // A part of a minute's window is 600 ms, and this one ends in 400; the last place may be handed out three parts later.
        assert_eq!((window.used(at(62_199), rate), window.used(at(62_200), rate)), (3, 0));
    }

    #[test]
    fn a_block_is_handed_out_once_for_its_rate_and_for_a_moment() {
        let (mut window, rate) = (Window::default(), rate("2000/hour"));
        let mut block = window.take(at(0), rate).unwrap();
        let other = Rate { unit: Unit::Day, ..rate };
        assert!(!block.admit(at(2_001), rate) && !block.admit(at(0), other));
        assert_eq!((0..9).filter(|_| block.admit(at(2_000), rate)).count(), 4);
        let brief = Window::default().take(at(0), Rate { unit: Unit::Second, ..rate }).unwrap();
        assert!(brief.lasts(at(30)) && !brief.lasts(at(31)), "a hundredth of a second is a part");
    }

    #[test]
    fn what_counts_together_is_handed_out_together() {
        let (mut window, rate) = (Window::default(), rate("5000/minute"));
        let [mut first, second] = [0, 5].map(|millis| window.take(at(millis), rate).unwrap());
        assert_eq!((first.merge(second), first.left(at(5), rate), first.used()), (None, 20, 20));
        let later = window.take(at(600), rate).unwrap();
        assert_eq!(first.merge(later.clone()), Some(later));
    }

    #[test]
    fn there_are_none_of_small_windows_nor_many_nor_of_one_that_fills() {
        assert_eq!(Window::default().take(at(0), rate("1000/minute")), None);
        let (mut window, rate) = (Window::default(), rate("5000/minute"));
        assert_eq!((0..50).filter_map(|_| window.take(at(0), rate)).count(), 10, "a fiftieth");
        let mut window = Window::default();
        (0..2_499).for_each(|_| window.admit(at(-700), rate).unwrap());
        let taken = window.take(at(0), rate);
        assert!(taken.is_some() && window.take(at(0), rate).is_none());
    }
}
