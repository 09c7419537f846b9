//! The self-healing reader: events from the bus while it has them, from the log whenever it has not.

use std::sync::Arc;
use std::time::Duration;

use store::log::POLL;
use store::{Log, Position, Recorded, Ring, StoreError};

/// Reads the whole log in order, from a position on, each event once and without a gap.
#[derive(Debug)]
pub struct Feed {
    log: Log,
    tail: Arc<Ring>,
    cursor: Position,
}

/// How far the bus may lag behind the log before the log is read instead.
const GRACE: Duration = Duration::from_millis(50);

impl Feed {
    #[must_use]
    pub fn new(log: Log, tail: Arc<Ring>, cursor: Position) -> Self {
        Self { log, tail, cursor }
    }

    /// Waits for the next events, up to `limit` of them.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let mut tail = self.tail.head();
        let mut log = self.log.grows();
        loop {
            tail.mark_unchanged();
            let events = match self.tail.after(self.cursor, limit) {
                Some(events) => events,
                None => self.log.read(self.cursor, limit).await?,
            };
            if let Some(last) = events.last() {
                self.cursor = last.position;
                return Ok(events);
            }
            let ahead = async {
                let _ = log.wait_for(|head| *head > self.cursor).await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                _ = tail.changed() => continue,
                () = ahead => {}
                () = tokio::time::sleep(POLL) => {}
            }
            let events = self.log.read(self.cursor, limit).await?;
            if let Some(last) = events.last() {
                self.cursor = last.position;
                return Ok(events);
            }
        }
    }
}
