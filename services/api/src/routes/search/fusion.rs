//! Several rankings as one: reciprocal rank fusion.

use std::collections::BTreeMap;

use store::Position;

/// So much a rank counts for less than the one before it: at the top nearly nothing.
const K: f64 = 60.0;

/// A message in a fused ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fused {
    pub(super) score: f64,
    pub(super) position: Position,
}

impl Fused {
    /// The best come first, and of those that are as good the newest.
    pub(super) fn is_after(self, other: Self) -> bool {
        other.score.total_cmp(&self.score).then(other.position.cmp(&self.position)).is_gt()
    }
}

/// Adds up what each message's ranks are worth; whoever stands in two lists stands before whoever is in one, as a rule.
pub(super) fn fuse(lists: &[&[Position]]) -> Vec<Fused> {
    let mut scores: BTreeMap<Position, f64> = BTreeMap::new();
    for list in lists {
        for (rank, position) in (1_u32..).zip(*list) {
            *scores.entry(*position).or_default() += 1.0 / (K + f64::from(rank));
        }
    }
    let mut fused: Vec<Fused> = scores.into_iter().map(|(position, score)| Fused { score, position }).collect();
    fused.sort_by(|one, other| other.score.total_cmp(&one.score).then(other.position.cmp(&one.position)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(numbers: &[i64]) -> Vec<Position> {
        numbers.iter().copied().map(Position::new).collect()
    }

    #[test]
    fn who_is_in_both_lists_comes_first_and_then_the_better_rank() {
        let fused = fuse(&[&positions(&[1, 2, 3]), &positions(&[4, 3])]);
        assert_eq!(fused.iter().map(|it| it.position.get()).collect::<Vec<_>>(), [3, 4, 1, 2], "of equals the newest");
        let scores = [1.0 / 63.0 + 1.0 / 62.0, 1.0 / 61.0];
        assert!(fused.iter().zip(scores).all(|(it, score)| (it.score - score).abs() < 1e-12), "{fused:?}");
        assert_eq!(fuse(&[&[], &[]]), []);
    }

    #[test]
    fn each_is_after_all_that_come_before_it() {
        let fused = fuse(&[&positions(&[1, 2, 3, 5]), &positions(&[4, 3, 6, 2])]);
        for (nth, one) in fused.iter().enumerate() {
            for (mth, other) in fused.iter().enumerate() {
                assert_eq!(one.is_after(*other), nth > mth);
            }
        }
    }
}
