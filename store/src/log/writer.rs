//! The one task of a process that appends: it takes all appends that wait and commits them as one.
//!
//! There is no timer. An idle writer appends at once; while it commits, the next batch gathers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};

use super::append::{Append, AppendError, NewEvent, Outcome};
use super::{postgres, sqlite};
use crate::db::PostgresDb;
use crate::ring::Ring;
use crate::{Db, Position, Recorded, StoreError, metrics};

/// Hands appends to the writing task.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Append(Pending),
    /// Nothing after this is appended; answered when everything before it has been.
    Close(oneshot::Sender<()>),
}

struct Pending {
    append: Append,
    done: oneshot::Sender<Result<Position, AppendError>>,
}

/// How many appends may wait.
const QUEUE: usize = 4_096;
/// How many appends, and about how many events, make a batch.
const BATCH: usize = 512;
const BATCH_EVENTS: usize = 2_048;
const BATCH_BYTES: usize = 4 << 20;
/// How far apart the notices to other processes are at least.
const NOTICES_APART: Duration = Duration::from_millis(2);

impl Writer {
    pub(super) fn start(db: Db, ring: Arc<Ring>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let written = watch::Sender::new(Position::START);
        if let Db::Postgres(postgres) = &db {
            tokio::spawn(notify(postgres.clone(), written.subscribe()));
        }
        tokio::spawn(run(db, ring, waiting, written));
        Self { queue }
    }

    pub(super) async fn append(&self, append: Append) -> Result<Position, AppendError> {
        let (done, outcome) = oneshot::channel();
        self.queue.send(Message::Append(Pending { append, done })).await.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Ends when the writing task has, whatever the reason.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }
}

/// Tells other processes how far the log has grown: beside the appends, so that none waits for it, and not for each.
async fn notify(db: PostgresDb, mut written: watch::Receiver<Position>) {
    while written.changed().await.is_ok() {
        let head = *written.borrow_and_update();
        if let Err(error) = postgres::notify(&db, head).await {
            tracing::debug!(%error, "no notice of the log's growth");
        }
        tokio::time::sleep(NOTICES_APART).await;
    }
}

async fn run(db: Db, ring: Arc<Ring>, mut waiting: mpsc::Receiver<Message>, written: watch::Sender<Position>) {
    let mut appender = Appender::new(db);
    let mut closing = None;
    while closing.is_none()
        && let Some(first) = waiting.recv().await
    {
        let batch = gather(first, &mut waiting, &mut closing);
        if batch.is_empty() {
            continue;
        }
        let (appends, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|it| (it.append, it.done)).unzip();
        let (begun, size) = (Instant::now(), appends.len());
        match appender.commit(&appends).await {
            Ok(outcomes) => {
                metrics::committed(size, outcomes.iter().filter(|it| it.is_none()).count(), begun.elapsed());
                let head = settle(&ring, appends, &outcomes, answers);
                head.map(|head| written.send_replace(head));
            }
            Err(error) => {
                metrics::failed(size, begun.elapsed());
                refuse(answers, &error);
            }
        }
    }
    drop((appender, waiting));
    if let Some(closing) = closing {
        let _ = closing.send(());
    }
}

/// Takes what waits, as far as it makes one batch; a call to close ends it.
fn gather(
    first: Message,
    waiting: &mut mpsc::Receiver<Message>,
    closing: &mut Option<oneshot::Sender<()>>,
) -> Vec<Pending> {
    let (mut batch, mut events, mut bytes) = (Vec::new(), 0, 0);
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Append(pending) => {
                events += pending.append.events.len();
                bytes += pending.append.events.iter().map(|event| event.payload.get().len()).sum::<usize>();
                batch.push(pending);
            }
            Message::Close(done) => {
                *closing = Some(done);
                break;
            }
        }
        let room = batch.len() < BATCH && events < BATCH_EVENTS && bytes < BATCH_BYTES;
        next = if room { waiting.try_recv().ok() } else { None };
    }
    batch
}

/// Commits batches: together, if all agree; else each for itself, so that only the guilty are refused.
enum Appender {
    Sqlite(sqlite::Appender),
    Postgres(postgres::Appender),
}

impl Appender {
    fn new(db: Db) -> Self {
        match db {
            Db::Sqlite(file) => Self::Sqlite(sqlite::Appender::new(file)),
            Db::Postgres(postgres) => Self::Postgres(postgres::Appender::new(postgres)),
        }
    }

    async fn commit(&mut self, appends: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Sqlite(appender) => appender.commit(appends).await,
            Self::Postgres(appender) => appender.commit(appends).await,
        }
    }
}

/// Puts what was committed into the ring, then answers: whoever has an answer finds its events there.
fn settle(
    ring: &Ring,
    appends: Vec<Append>,
    outcomes: &[Outcome],
    answers: Vec<oneshot::Sender<Result<Position, AppendError>>>,
) -> Option<Position> {
    let mut recorded = Vec::new();
    let mut replies = Vec::with_capacity(answers.len());
    for (append, outcome) in appends.into_iter().zip(outcomes) {
        replies.push(outcome.map(|before| {
            let events = append.events.len();
            let (at, metadata) = (append.recorded_at, append.metadata);
            recorded.extend(append.events.into_iter().zip(before.next().get()..).map(|(event, position)| {
                let position = Position::new(position);
                Arc::new(record(event, position, at, metadata.clone()))
            }));
            Position::new(before.get() + i64::try_from(events).unwrap_or(i64::MAX))
        }));
    }
    recorded.sort_by_key(|event| event.position);
    let head = recorded.last().map(|event| event.position);
    ring.push(recorded);
    for (answer, reply) in answers.into_iter().zip(replies) {
        let _ = answer.send(reply.ok_or(AppendError::Conflict));
    }
    head
}

fn record(event: NewEvent, position: Position, at: domain::Timestamp, metadata: Box<RawValue>) -> Recorded {
    Recorded {
        position,
        recorded_at: at,
        stream_type: event.stream_type.to_owned(),
        stream_id: event.stream_id,
        sequence: event.sequence,
        event_type: event.event_type.to_owned(),
        event_version: event.event_version.to_owned(),
        payload: event.payload,
        metadata,
    }
}

/// Everybody in the batch hears why.
fn refuse(answers: Vec<oneshot::Sender<Result<Position, AppendError>>>, error: &StoreError) {
    for answer in answers {
        let _ = answer.send(Err(AppendError::Store(error.clone())));
    }
}
