//! What every read model is made of: the log's events, decoded, a batch at a time.

use std::sync::Arc;
use std::time::Duration;

use domain::{Event, Metadata, Timestamp, UnknownEvent};
use store::read_model::Spec;
use store::{Position, Recorded, StoreError, Tx};

/// An event, and where and when it happened.
#[derive(Debug, Clone)]
pub struct Change {
    pub position: Position,
    pub at: Timestamp,
    pub event: Event,
    recorded: Arc<Recorded>,
}

impl TryFrom<&Arc<Recorded>> for Change {
    type Error = UnknownEvent;

    fn try_from(recorded: &Arc<Recorded>) -> Result<Self, Self::Error> {
        let (position, at, event) = (recorded.position, recorded.recorded_at, recorded.event()?);
        Ok(Self { position, at, event, recorded: recorded.clone() })
    }
}

impl Change {
    /// Who did it, and from where; read when it is asked for, as few read models want it.
    pub fn metadata(&self) -> Result<Metadata, StoreError> {
        let unreadable = |_| StoreError::Corrupt(format!("the metadata at {} can't be read", self.position).into());
        self.recorded.metadata().map_err(unreadable)
    }

    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.recorded.event_type
    }
}

/// Builds a read model from the log.
pub trait Projection {
    const SPEC: Spec;

    /// How long to gather events before a batch: for what nobody waits for.
    const PACE: Duration = Duration::ZERO;

    /// Whether such an event leaves anything in it. What does not only moves the checkpoint, in its own time.
    fn concerns(event: &Event) -> bool;

    /// Takes events in, each once and in order; the checkpoint moves in the same transaction.
    fn apply(tx: &mut Tx, changes: &[Change]) -> impl Future<Output = Result<(), StoreError>> + Send;
}
