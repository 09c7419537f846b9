//! What a command wants the log to take: events of one or more streams, all or none.

use domain::Timestamp;
use serde_json::value::RawValue;

use crate::{Position, StoreError};

/// An event that has no position yet.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub stream_type: &'static str,
    pub stream_id: String,
    /// The place in its stream, from 1 on; nobody else may have taken it.
    pub sequence: i64,
    pub event_type: &'static str,
    pub event_version: &'static str,
    pub payload: Box<RawValue>,
}

/// A stream that a decision was based on: it must not have grown beyond `sequence`.
#[derive(Debug, Clone)]
pub struct Guard {
    pub stream_type: &'static str,
    pub stream_id: String,
    pub sequence: i64,
}

/// One decision's events.
#[derive(Debug, Clone)]
pub struct Append {
    pub events: Vec<NewEvent>,
    pub guards: Vec<Guard>,
    pub metadata: Box<RawValue>,
    pub recorded_at: Timestamp,
}

/// What became of one append of a batch: the position before its first event, or a conflict.
pub(super) type Outcome = Option<Position>;

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream has grown since it was read; nothing was appended.
    #[error("a stream was changed by somebody else")]
    Conflict,
    /// The events may stand in the log, once; the database was lost before it said so.
    #[error(transparent)]
    Store(#[from] StoreError),
}
