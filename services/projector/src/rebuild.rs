//! Builds a read model anew beside the live one, and swaps them when it has caught up.

use std::sync::Arc;
use std::time::Duration;

use projections::Projection;
use store::{Lease, Log, Position, ReadModel, Recorded, StoreError};

use crate::worker::decode;

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} is being rebuilt already")]
    Running(&'static str),
    #[error("the event at {at} can't be applied: {reason}")]
    Stuck { at: Position, reason: String },
}

/// How many events are applied in one transaction.
const BATCH: usize = 5_000;
/// From how far behind the live one the rest is applied while the live one is held still.
const NEAR: i64 = 2_000;

/// Rebuilds the read model from the log; `progress` hears how far it is, and how far it has to go.
///
/// Queries are answered from the live one until the end. Killed at any moment, it leaves that as it was.
pub async fn rebuild<P: Projection>(
    log: &Log,
    live: &ReadModel,
    progress: impl Fn(Position, Position),
) -> Result<Position, RebuildError> {
    let mut lease = take_lease(live).await?.ok_or(RebuildError::Running(P::SPEC.name))?;
    let built = build::<P>(log, live, &mut lease, progress).await;
    lease.release().await;
    built
}

/// A node that has just started holds the lease for a moment, to clean up.
async fn take_lease(live: &ReadModel) -> Result<Option<Lease>, StoreError> {
    for _ in 0..10 {
        if let Some(lease) = live.rebuild_lease().await? {
            return Ok(Some(lease));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

async fn build<P: Projection>(
    log: &Log,
    live: &ReadModel,
    lease: &mut Lease,
    progress: impl Fn(Position, Position),
) -> Result<Position, RebuildError> {
    let copy = live.copy(lease).await?;
    let mut cursor = Position::START;
    loop {
        let head = log.head().await?;
        cursor = fill::<P>(log, &copy, cursor, head, &progress).await?;
        if log.head().await?.get() - cursor.get() < NEAR {
            break;
        }
    }
    let held = live.begin().await?;
    let reached = held.position.max(cursor);
    fill::<P>(log, &copy, cursor, reached, &progress).await?;
    live.swap(copy, reached, held, lease).await?;
    Ok(reached)
}

/// Applies the log from `cursor` to `end`; the next events are read while the last are written.
async fn fill<P: Projection>(
    log: &Log,
    copy: &ReadModel,
    mut cursor: Position,
    end: Position,
    progress: &impl Fn(Position, Position),
) -> Result<Position, RebuildError> {
    let mut events = read(log, cursor, end).await?;
    while let Some(last) = events.last().map(|event| event.position) {
        let (written, next) = tokio::join!(write::<P>(copy, cursor, &events), read(log, last, end));
        written?;
        cursor = last;
        progress(cursor, end);
        events = next?;
    }
    Ok(cursor)
}

async fn read(log: &Log, cursor: Position, end: Position) -> Result<Vec<Arc<Recorded>>, StoreError> {
    let left = usize::try_from(end.get() - cursor.get()).unwrap_or(0);
    if left == 0 { Ok(Vec::new()) } else { log.read(cursor, left.min(BATCH)).await }
}

async fn write<P: Projection>(
    copy: &ReadModel,
    cursor: Position,
    events: &[Arc<Recorded>],
) -> Result<(), RebuildError> {
    let (changes, unknown) = decode(events);
    if let Some((at, error)) = unknown {
        return Err(RebuildError::Stuck { at, reason: error.to_string() });
    }
    let Some(last) = changes.last() else { return Ok(()) };
    let mut batch = copy.begin().await?;
    if batch.position != cursor {
        return Err(RebuildError::Running(P::SPEC.name));
    }
    P::apply(&mut batch.tx, &changes).await?;
    batch.commit(last.position).await?;
    Ok(())
}
