//! An event as it stands in the log.

use std::fmt;

use domain::{Event, Metadata, Timestamp, UnknownEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A place in the whole log: the first event has 1, and there are no gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(i64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    #[must_use]
    pub const fn new(position: i64) -> Self {
        Self(position)
    }

    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event in the log, on the bus and on the way into a read model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    pub position: Position,
    pub recorded_at: Timestamp,
    pub stream_type: String,
    pub stream_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    pub payload: Box<RawValue>,
    pub metadata: Box<RawValue>,
}

impl Recorded {
    pub fn event(&self) -> Result<Event, UnknownEvent> {
        Event::decode(&self.stream_type, &self.stream_id, self.payload.get())
    }

    pub fn metadata(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_str(self.metadata.get())
    }

    /// Roughly what it takes in memory and on a wire.
    #[must_use]
    pub fn size(&self) -> usize {
        200 + self.payload.get().len() + self.metadata.get().len()
    }
}
