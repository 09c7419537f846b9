//! Chance, from a seed that a failed test has printed.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

/// A small generator of numbers (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// From `COLLOQUY_SEED`, else from the system's own chance. What goes on beside it in other processes is not repeated.
    pub fn cast() -> Self {
        let set = env::var("COLLOQUY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = set.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        eprintln!("COLLOQUY_SEED={seed}");
        Self(seed)
    }

    /// Others, whose numbers do not depend on how often these are thrown.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// From 0 on, below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// From `least` to `most`.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
