//! The newest events in memory, without a hole: what a reader at the log's end is served from.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::{Position, Recorded};

/// Holds a run of events without a gap, bounded in number and in size.
#[derive(Debug)]
pub struct Ring {
    held: RwLock<Held>,
    head: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Held {
    events: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

const MOST_EVENTS: usize = 16_384;
const MOST_BYTES: usize = 8 << 20;

impl Default for Ring {
    fn default() -> Self {
        Self { held: RwLock::default(), head: watch::Sender::new(Position::START) }
    }
}

impl Ring {
    /// Takes events in; what doesn't follow on what is held begins a new run, and what is held already is passed over.
    pub fn push(&self, events: impl IntoIterator<Item = Arc<Recorded>>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            held.push(event);
        }
        if let Some(last) = held.last() {
            self.raise(last);
        }
    }

    /// Says that the log has grown to `head`, without having the events.
    pub fn raise(&self, head: Position) {
        self.head.send_if_modified(|known| {
            let grown = *known < head;
            *known = head.max(*known);
            grown
        });
    }

    /// Up to `limit` events after `cursor`; `None` where some of them are not held any more, or not yet.
    #[must_use]
    pub fn after(&self, cursor: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let first = held.events.front()?.position;
        if cursor.next() < first || held.last()? < cursor {
            return None;
        }
        let skip = usize::try_from(cursor.next().get() - first.get()).ok()?;
        Some(held.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Wakes whoever waits for the log to grow.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

impl Held {
    fn last(&self) -> Option<Position> {
        self.events.back().map(|event| event.position)
    }

    fn push(&mut self, event: Arc<Recorded>) {
        match self.last() {
            Some(last) if event.position <= last => return,
            Some(last) if event.position != last.next() => {
                self.events.clear();
                self.bytes = 0;
            }
            Some(_) | None => {}
        }
        self.bytes += event.size();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || (self.bytes > MOST_BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |event| event.size());
        }
    }
}
