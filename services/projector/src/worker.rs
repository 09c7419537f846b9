//! The loop of one read model: lead, read, apply, again.

use std::sync::Arc;
use std::time::Duration;

use domain::UnknownEvent;
use nats::{Bus, Feed};
use projections::{Change, Projection};
use store::read_model::Batch;
use store::{Lease, Log, Position, ReadModel, Recorded, StoreError, in_full};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many events are applied in one transaction.
pub(crate) const BATCH: usize = 2_000;
const RETRY: Duration = Duration::from_millis(250);
/// How long after a swap, or another worker's step, to look again.
const MOVED: Duration = Duration::from_millis(10);
/// How long a read model that is stuck waits before it tries again.
const STUCK: Duration = Duration::from_secs(5);

/// How a read model fares on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Another node applies the log, or none has begun.
    Standby,
    Running,
    /// An event can't be applied; nothing after it is.
    Stuck {
        at: Position,
        reason: String,
    },
}

/// Keeps one read model up to date.
#[derive(Debug)]
pub struct Worker {
    log: Log,
    bus: Bus,
    model: ReadModel,
    state: watch::Sender<State>,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the event at {at} can't be applied: {reason}")]
    Stuck { at: Position, reason: String },
    /// Somebody else has moved the read model: a swap, or another worker.
    #[error("the read model stands elsewhere")]
    Moved,
}

impl Worker {
    #[must_use]
    pub fn new(log: Log, bus: Bus, model: ReadModel) -> Self {
        Self { log, bus, model, state: watch::Sender::new(State::Standby) }
    }

    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Applies the log until told to stop: as the leader, or standing by until the leader is gone.
    pub async fn run<P: Projection>(&self, shutdown: CancellationToken) {
        let work = async {
            loop {
                let pause = self.take_turn::<P>().await.map_or_else(|trouble| self.report(trouble), |()| RETRY);
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Says what went wrong, and how long to wait before another try.
    fn report(&self, trouble: Trouble) -> Duration {
        let model = self.model.name();
        match trouble {
            Trouble::Moved => {
                tracing::debug!(model, "the read model was moved");
                MOVED
            }
            Trouble::Store(error) => {
                tracing::warn!(model, cause = in_full(&error), "the projection begins again");
                self.state.send_replace(State::Standby);
                RETRY
            }
            Trouble::Stuck { at, reason } => {
                tracing::error!(model, %at, reason, "the projection is stuck");
                self.state.send_replace(State::Stuck { at, reason });
                STUCK
            }
        }
    }

    async fn take_turn<P: Projection>(&self) -> Result<(), Trouble> {
        let name = format!("project-{}", self.model.name());
        let Some(mut lease) = Lease::try_take(self.log.db(), &name).await? else {
            self.state.send_if_modified(|state| std::mem::replace(state, State::Standby) != State::Standby);
            return Ok(());
        };
        let mut cursor = self.model.position().await?;
        let mut feed = Feed::new(self.log.clone(), self.bus.tail().clone(), cursor);
        loop {
            let Ok(events) = tokio::time::timeout(CHECK, feed.next(BATCH)).await else {
                if lease.holds().await {
                    continue;
                }
                return Ok(());
            };
            cursor = apply::<P>(&self.model, cursor, &events?).await?;
            self.state.send_if_modified(|state| std::mem::replace(state, State::Running) != State::Running);
        }
    }
}

/// How often an idle leader looks whether it still leads.
const CHECK: Duration = Duration::from_secs(2);

/// Applies events that follow on `cursor`, and answers with the position of the last one.
async fn apply<P: Projection>(
    model: &ReadModel,
    cursor: Position,
    events: &[Arc<Recorded>],
) -> Result<Position, Trouble> {
    let (changes, unknown) = decode(events);
    let Some(last) = changes.last().map(|change| change.position) else {
        return unknown.map_or(Ok(cursor), |(at, error)| Err(Trouble::Stuck { at, reason: error.to_string() }));
    };
    match apply_together::<P>(model, cursor, &changes).await {
        Err(Trouble::Store(error)) if !error.is_passing() => {
            tracing::warn!(cause = in_full(&error), "a batch can't be applied; looking for the guilty event");
            apply_each::<P>(model, cursor, &changes).await?;
        }
        applied => applied?,
    }
    match unknown {
        Some((at, error)) => Err(Trouble::Stuck { at, reason: error.to_string() }),
        None => Ok(last),
    }
}

/// The events up to the first that this build can't read.
pub(crate) fn decode(events: &[Arc<Recorded>]) -> (Vec<Change>, Option<(Position, UnknownEvent)>) {
    let mut changes = Vec::with_capacity(events.len());
    for event in events {
        match Change::try_from(event) {
            Ok(change) => changes.push(change),
            Err(error) => return (changes, Some((event.position, error))),
        }
    }
    (changes, None)
}

async fn apply_together<P: Projection>(model: &ReadModel, cursor: Position, changes: &[Change]) -> Result<(), Trouble> {
    let Some(last) = changes.last() else { return Ok(()) };
    let mut batch: Batch = model.begin().await?;
    if batch.position != cursor {
        return Err(Trouble::Moved);
    }
    P::apply(&mut batch.tx, changes).await?;
    batch.commit(last.position).await?;
    Ok(())
}

async fn apply_each<P: Projection>(model: &ReadModel, cursor: Position, changes: &[Change]) -> Result<(), Trouble> {
    let mut cursor = cursor;
    for change in changes {
        match apply_together::<P>(model, cursor, std::slice::from_ref(change)).await {
            Err(Trouble::Store(error)) if !error.is_passing() => {
                return Err(Trouble::Stuck { at: change.position, reason: error.to_string() });
            }
            applied => applied?,
        }
        cursor = change.position;
    }
    Ok(())
}
