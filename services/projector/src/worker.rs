//! The loop of one read model: lead, read, apply, again.

use std::sync::Arc;
use std::time::Duration;

use domain::UnknownEvent;
use nats::{Bus, Feed};
use projections::{Change, Projection};
use store::read_model::Batch;
use store::{Db, Lease, Log, Position, ReadModel, Recorded, StoreError, in_full};
use tokio::sync::watch;
use tokio::time::Instant;
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
        let mut reached = Reached::at(self.model.checkpoint().await?);
        let mut feed = Feed::new(self.log.clone(), self.bus.tail().clone(), reached.cursor);
        loop {
            let events = tokio::time::timeout_at(reached.look_up(), feed.next(BATCH)).await;
            if events.is_err() && !reached.is_due() {
                if lease.holds().await {
                    continue;
                }
                return Ok(());
            }
            let events = events.unwrap_or_else(|_| Ok(Vec::new()))?;
            reached = take_in::<P>(&self.model, reached, &events).await?;
            // Nothing was written for what was only passed by, and a log that is far ahead is caught up with at once.
            if !P::PACE.is_zero() && reached.due.is_none() && events.len() < BATCH {
                tokio::time::sleep(P::PACE).await;
            }
            self.state.send_if_modified(|state| std::mem::replace(state, State::Running) != State::Running);
        }
    }
}

/// How often an idle leader looks whether it still leads.
const CHECK: Duration = Duration::from_secs(2);
/// How long the checkpoint may stay behind while nothing comes that concerns the read model. Who waits on this node is told at
/// once; who waits on another looks there.
const LINGER: Duration = Duration::from_millis(50);
/// The same where there is no other node.
const LONG_LINGER: Duration = Duration::from_secs(1);

const fn linger(db: &Db) -> Duration {
    match db {
        Db::Postgres(_) => LINGER,
        Db::Sqlite(_) => LONG_LINGER,
    }
}

/// Up to where a leader has come.
#[derive(Debug, Clone, Copy)]
struct Reached {
    /// The last event that was taken in, or passed by as it doesn't concern the read model.
    cursor: Position,
    checkpoint: Position,
    /// When the checkpoint is to follow, where it is behind.
    due: Option<Instant>,
}

impl Reached {
    const fn at(checkpoint: Position) -> Self {
        Self { cursor: checkpoint, checkpoint, due: None }
    }

    fn look_up(&self) -> Instant {
        self.due.unwrap_or_else(|| Instant::now() + CHECK)
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    fn passing_by(self, cursor: Position, linger: Duration) -> Self {
        Self { cursor, due: self.due.or_else(|| Some(Instant::now() + linger)), ..self }
    }
}

/// Takes in events that follow on what was reached. What doesn't concern the read model costs it no transaction of its own.
async fn take_in<P: Projection>(
    model: &ReadModel,
    reached: Reached,
    events: &[Arc<Recorded>],
) -> Result<Reached, Trouble> {
    let (changes, unknown) = decode(events);
    let last = changes.last().map_or(reached.cursor, |change| change.position);
    let reached = if reached.is_due() || changes.iter().any(|change| P::concerns(&change.event)) {
        apply::<P>(model, reached.checkpoint, &changes, last).await?;
        Reached::at(last)
    } else if last > reached.cursor {
        model.pass(last);
        reached.passing_by(last, linger(model.db()))
    } else {
        reached
    };
    match unknown {
        Some((at, error)) => Err(Trouble::Stuck { at, reason: error.to_string() }),
        None => Ok(reached),
    }
}

/// Applies changes up to `last`, on a read model whose checkpoint is still where it was left.
async fn apply<P: Projection>(
    model: &ReadModel,
    checkpoint: Position,
    changes: &[Change],
    last: Position,
) -> Result<(), Trouble> {
    match apply_together::<P>(model, checkpoint, changes, last).await {
        Err(Trouble::Store(error)) if !error.is_passing() => {
            tracing::warn!(cause = in_full(&error), "a batch can't be applied; looking for the guilty event");
            apply_each::<P>(model, checkpoint, changes).await
        }
        applied => applied,
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

async fn apply_together<P: Projection>(
    model: &ReadModel,
    checkpoint: Position,
    changes: &[Change],
    last: Position,
) -> Result<(), Trouble> {
    let mut batch: Batch = model.begin().await?;
    if batch.position != checkpoint {
        return Err(Trouble::Moved);
    }
    P::apply(&mut batch.tx, changes).await?;
    batch.commit(last).await?;
    Ok(())
}

async fn apply_each<P: Projection>(
    model: &ReadModel,
    mut checkpoint: Position,
    changes: &[Change],
) -> Result<(), Trouble> {
    for change in changes {
        match apply_together::<P>(model, checkpoint, std::slice::from_ref(change), change.position).await {
            Err(Trouble::Store(error)) if !error.is_passing() => {
                return Err(Trouble::Stuck { at: change.position, reason: error.to_string() });
            }
            applied => applied?,
        }
        checkpoint = change.position;
    }
    Ok(())
}
