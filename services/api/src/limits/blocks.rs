//! The places of large windows that this node hands out by itself: whoever finds one there waits for nobody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use domain::limit::Block;

use super::windows::{Counted, Standing};

/// By the keys of their windows. There is more than one where a decision came late.
#[derive(Debug, Default)]
pub(super) struct Blocks(Mutex<HashMap<String, Vec<Block>>>);

/// Of so many windows at most.
const MANY: usize = 10_000;

impl Blocks {
    /// Admits by what is at hand: as coming when that counts, and how the window stands then; or nothing where that has to be decided.
    pub(super) fn admit(&self, it: &Counted, now: Timestamp) -> Option<(Timestamp, Standing)> {
        let mut all = self.locked();
        let blocks = all.get_mut(&it.key)?;
        let block = blocks.iter_mut().find_map(|block| block.admit(now, it.rate).then_some(&*block))?;
        let (at, eases_in) = (block.at(), block.eases_at().map_or(0, |at| now.seconds_until(at)));
        // The one that was taken last knows of all others.
        let used = blocks.iter().map(Block::used).max().unwrap_or_default();
        let standing = Standing { kind: it.kind, rate: it.rate, used, eases_in };
        Some((at, standing.without(left(blocks, it, now))))
    }

    /// Takes out what is left of those whose time is over.
    pub(super) fn over(&self, key: &str, now: Timestamp) -> Vec<Block> {
        let mut all = self.locked();
        let Some(blocks) = all.get_mut(key) else { return Vec::new() };
        let over = blocks.extract_if(.., |block| !block.lasts(now)).collect();
        if blocks.is_empty() {
            all.remove(key);
        }
        over
    }

    pub(super) fn put(&self, key: &str, block: Block, now: Timestamp) {
        let mut all = self.locked();
        if all.len() >= MANY && !all.contains_key(key) {
            all.retain(|_, blocks| blocks.iter().any(|block| block.lasts(now)));
            if all.len() >= MANY {
                return;
            }
        }
        let blocks = all.entry(key.to_owned()).or_default();
        let other = blocks.iter_mut().try_fold(block, |block, it| it.merge(block));
        blocks.extend(other);
    }

    /// Whether it counts when a block does: it is one of its places again.
    pub(super) fn withdraw(&self, it: &Counted, at: Timestamp) -> bool {
        let mut all = self.locked();
        let blocks = all.get_mut(&it.key).map(Vec::as_mut_slice).unwrap_or_default();
        blocks.iter_mut().any(|block| block.withdraw(at, it.rate))
    }

    /// How many of a window's places count that nobody has taken.
    pub(super) fn left(&self, it: &Counted, now: Timestamp) -> usize {
        self.locked().get(&it.key).map_or(0, |blocks| left(blocks, it, now))
    }

    /// What a panic left behind is a number all the same.
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(blocks: &[Block], it: &Counted, now: Timestamp) -> usize {
    blocks.iter().map(|block| block.left(now, it.rate)).sum()
}

#[cfg(test)]
mod tests {
    use domain::limit::{Rate, Window};
    use domain::token::notice::LimitKind;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn counted(key: &str) -> Counted {
        let rate: Rate = "5000/minute".parse().unwrap();
        Counted { kind: LimitKind::User, key: key.to_owned(), rate, subject: None }
    }

    #[test]
    fn what_a_late_decision_brings_takes_nothing_away() {
        let (blocks, ann, mut window) = (Blocks::default(), counted("ann"), Window::default());
        let later = NOW.plus_seconds(2);
        let [early, late] = [NOW, later].map(|at| window.take(at, ann.rate).unwrap());
        let [early_at, late_at] = [early.at(), late.at()];
        let admit = |at| blocks.admit(&ann, at).map(|(at, standing)| (at, standing.used));
        blocks.put("ann", early, NOW);
        assert_eq!(admit(NOW), Some((early_at, 1)));
        blocks.put("ann", late, NOW);
        assert_eq!((blocks.left(&ann, later), admit(later)), (19, Some((late_at, 2))));
        assert_eq!(admit(NOW), Some((early_at, 3)), "by the older one, too");
        assert!(blocks.withdraw(&ann, early_at));
        // The first part's block is given back, the other one goes on.
        let over = blocks.over("ann", later);
        assert_eq!(over.iter().map(|block| block.left(later, ann.rate)).sum::<usize>(), 9);
        assert_eq!(blocks.left(&ann, later), 9);
        assert!(blocks.withdraw(&ann, late_at) && !blocks.withdraw(&ann, early_at));
        assert_eq!(blocks.left(&ann, later), 10);
        assert_eq!((blocks.admit(&counted("bob"), NOW), blocks.over("bob", NOW)), (None, Vec::new()));
    }

    #[test]
    fn there_are_places_of_many_windows_and_no_more() {
        let blocks = Blocks::default();
        let put = |key: usize, at: Timestamp| {
            let block = Window::default().take(at, counted("").rate).unwrap();
            blocks.put(&key.to_string(), block, at);
        };
        (0..MANY + 5).for_each(|key| put(key, NOW));
        assert_eq!(blocks.locked().len(), MANY);
        put(MANY + 5, NOW.plus_seconds(3));
        assert_eq!(blocks.locked().len(), 1, "what is over makes room");
    }
}
