//! What every read model is made of: the log's events, decoded, a batch at a time.

use domain::{Event, Timestamp, UnknownEvent};
use store::read_model::Spec;
use store::{Position, Recorded, StoreError, Tx};

/// An event, and where and when it happened.
#[derive(Debug, Clone)]
pub struct Change {
    pub position: Position,
    pub at: Timestamp,
    pub event: Event,
}

impl TryFrom<&Recorded> for Change {
    type Error = UnknownEvent;

    fn try_from(recorded: &Recorded) -> Result<Self, Self::Error> {
        Ok(Self { position: recorded.position, at: recorded.recorded_at, event: recorded.event()? })
    }
}

/// Builds a read model from the log.
pub trait Projection {
    const SPEC: Spec;

    /// Takes events in, each once and in order; the checkpoint moves in the same transaction.
    fn apply(tx: &mut Tx, changes: &[Change]) -> impl Future<Output = Result<(), StoreError>> + Send;
}
