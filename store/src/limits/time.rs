//! What time it is for all nodes alike: on Postgres the server's time, as each node knows by how much its own clock differs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Timestamp;

use crate::clock::Clock;

#[derive(Debug, Clone)]
pub(super) struct SharedTime {
    clock: Clock,
    /// By how many microseconds the others' is ahead of this one's.
    ahead: Arc<AtomicI64>,
}

impl SharedTime {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, ahead: Arc::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        later(self.clock.now(), self.ahead.load(Ordering::Relaxed))
    }

    /// What this node's own clock says.
    pub(super) fn own(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes in what the server's clock said between two looks at one's own. One that is moved by hand is everybody's.
    pub(super) fn learn(&self, before: Timestamp, server: Timestamp, after: Timestamp) {
        match self.clock {
            Clock::System => self.ahead.store(ahead(before, server, after), Ordering::Relaxed),
            Clock::Manual(_) => {}
        }
    }
}

/// As far as anybody can tell it said so half-way.
const fn ahead(before: Timestamp, server: Timestamp, after: Timestamp) -> i64 {
    let half = after.as_micros().saturating_sub(before.as_micros()) / 2;
    server.as_micros().saturating_sub(before.as_micros().saturating_add(half))
}

fn later(moment: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(moment.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn whoever_is_ahead_or_behind_comes_to_the_servers_time() {
        for off in [-3_000_000, -7, 0, 400, 5_000_000] {
            let (before, after) = (later(NOW, off), later(NOW, off + 300));
            let differs = ahead(before, later(NOW, 150), after);
            assert_eq!(later(later(NOW, off + 1_000), differs), later(NOW, 1_000), "{off}");
        }
    }

    #[test]
    fn a_clock_that_is_moved_by_hand_is_right() {
        let time = SharedTime::new(Clock::manual(NOW));
        time.learn(NOW, later(NOW, 9_000_000), NOW);
        assert_eq!(time.now(), NOW);
        let time = SharedTime::new(Clock::System);
        let own = time.own();
        time.learn(own, later(own, 3_600_000_000), own);
        assert!(time.now() >= later(own, 3_600_000_000));
    }
}
