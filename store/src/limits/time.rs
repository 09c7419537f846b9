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
    pub(super) fn learn(&self, looks: &[Look]) {
        match (&self.clock, ahead(looks)) {
            (Clock::System, Some(ahead)) => self.ahead.store(ahead, Ordering::Relaxed),
            (Clock::System, None) | (Clock::Manual(_), _) => {}
        }
    }
}

/// One's own clock, the server's, and one's own again.
pub(super) type Look = (Timestamp, Timestamp, Timestamp);

/// By the quickest look: as far as anybody can tell the server said so half-way.
fn ahead(looks: &[Look]) -> Option<i64> {
    let took = |(before, _, after): &Look| after.as_micros().saturating_sub(before.as_micros());
    let quickest = looks.iter().min_by_key(|look| took(look))?;
    let (before, server, _) = quickest;
    Some(server.as_micros().saturating_sub(before.as_micros().saturating_add(took(quickest) / 2)))
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
            let look = |server, took| (later(NOW, off), later(NOW, server), later(NOW, off + took));
            let differs = ahead(&[look(90_000, 100_000), look(150, 300), look(9, 9_000)]).unwrap();
            assert_eq!(later(later(NOW, off + 1_000), differs), later(NOW, 1_000), "{off}");
        }
    }

    #[test]
    fn a_clock_that_is_moved_by_hand_is_right() {
        let time = SharedTime::new(Clock::manual(NOW));
        time.learn(&[(NOW, later(NOW, 9_000_000), NOW)]);
        assert_eq!(time.now(), NOW);
        let time = SharedTime::new(Clock::System);
        let own = time.own();
        time.learn(&[]);
        time.learn(&[(own, later(own, 3_600_000_000), own)]);
        assert!(time.now() >= later(own, 3_600_000_000));
    }
}
