//! Events on NATS JetStream: a stream whose sequence is the log's position.
//!
//! JetStream is the fast way and never the truth: what is missing here is read from the log, and the stream is made again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::{NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Stream};
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use store::{Log, Position, Recorded, Ring, in_full};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::subject::{ALL, subject_of};
use crate::{BusError, live};

/// A connection to NATS, and what has come over it.
#[derive(Debug, Clone)]
pub struct JetStream {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) tail: Arc<Ring>,
    /// Whether NATS is there; it changes with each time that NATS goes or comes back.
    pub(crate) connected: watch::Receiver<bool>,
}

const STREAM: &str = "COLLOQUY_EVENTS";
/// How long the stream keeps events; a reader that is further behind reads the log.
const KEPT: Duration = Duration::from_hours(24);
const KEPT_BYTES: i64 = 1 << 30;
/// How long NATS may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(250);
/// When NATS is asked again for a stream that it would not make.
const REMAKE: Duration = Duration::from_secs(5);
/// How many events are taken into the tail at once.
const CHUNK: usize = 512;
/// Room that a message's envelope takes of NATS' limit.
pub(crate) const ENVELOPE: usize = 1_024;
/// How much may wait to be sent: a word of each of many thousand replies at the same moment.
const UNSENT: usize = 16_384;

impl JetStream {
    pub(crate) async fn connect(url: &str, patience: Duration) -> Result<Self, BusError> {
        let deadline = Instant::now() + patience;
        let (up, connected) = watch::channel(true);
        let client = loop {
            match options(up.clone()).connect(url).await {
                Ok(client) => break client,
                Err(error) if Instant::now() + RETRY > deadline => return Err(refused(error)),
                Err(error) => tracing::warn!(%error, "waiting for NATS"),
            }
            tokio::time::sleep(RETRY).await;
        };
        if !client.is_server_compatible(2, 10, 0) {
            return Err(BusError::TooOld(client.server_info().version));
        }
        let context = ContextBuilder::new().timeout(ANSWER).ack_timeout(ANSWER).build(client.clone());
        let jetstream = Self { client, context, tail: Arc::default(), connected };
        jetstream.prepare_live().await;
        Ok(jetstream)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The position up to which the stream has this log. A stream that is gone, or another log's, is made anew.
    pub(crate) async fn resume(&self, log: &Log) -> Result<Position, BusError> {
        match self.context.get_stream(STREAM).await {
            Ok(stream) => {
                if let Some(position) = self.carried(&stream, log).await? {
                    return Ok(position);
                }
                tracing::warn!("the stream holds another log; it is made anew");
                self.context.delete_stream(STREAM).await.map_err(refused)?;
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(refused(error)),
        }
        let head = log.head().await?;
        self.context.create_stream(config(head)?).await.map_err(refused)?;
        Ok(head)
    }

    /// Up to where the stream has the log, if it is there.
    pub(crate) async fn reached(&self) -> Option<Position> {
        if !self.is_connected() {
            return None;
        }
        let stream = self.context.get_stream(STREAM).await.ok()?;
        Some(Position::new(i64::try_from(stream.cached_info().state.last_sequence).ok()?))
    }

    /// `None` where the stream's last event is not the log's event at that position.
    async fn carried(&self, stream: &Stream, log: &Log) -> Result<Option<Position>, BusError> {
        let state = &stream.cached_info().state;
        let last = Position::new(i64::try_from(state.last_sequence).unwrap_or(i64::MAX));
        if state.messages == 0 {
            return Ok((last <= log.head().await?).then_some(last));
        }
        let message = stream.get_raw_message(state.last_sequence).await.map_err(refused)?;
        let before = Position::new(last.get() - 1);
        let logged = log.read(before, 1).await?;
        let same = logged.first().is_some_and(|event| {
            let carried = serde_json::from_slice::<Recorded>(&message.payload);
            carried.map_or(message.payload.is_empty(), |it| {
                (&it.stream_id, it.sequence, it.recorded_at) == (&event.stream_id, event.sequence, event.recorded_at)
            })
        });
        Ok(same.then_some(last))
    }

    /// Publishes all, then awaits all: each event says which must be the one before it.
    pub(crate) async fn publish(&self, events: &[Arc<Recorded>]) -> Result<(), BusError> {
        let mut acks = Vec::with_capacity(events.len());
        for event in events {
            acks.push(self.send(event).await?);
        }
        for ack in acks {
            ack.await.map_err(|error| {
                let apart = [PublishErrorKind::WrongLastSequence, PublishErrorKind::StreamNotFound];
                if apart.contains(&error.kind()) { BusError::Apart } else { refused(error) }
            })?;
        }
        Ok(())
    }

    async fn send(&self, event: &Recorded) -> Result<PublishAckFuture, BusError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SEQUENCE, (event.position.get() - 1).to_string());
        headers.insert(NATS_MESSAGE_ID, event.position.to_string());
        let payload = if event.size() + ENVELOPE > self.client.server_info().max_payload {
            // Too large for NATS: its position alone travels, and readers find a gap that the log fills.
            Bytes::new()
        } else {
            serde_json::to_vec(event)?.into()
        };
        self.context.publish_with_headers(subject_of(event), headers, payload).await.map_err(refused)
    }

    /// Makes a stream where it is missing.
    pub(crate) async fn make(&self, config: Config) -> Result<(), BusError> {
        self.context.get_or_create_stream(config).await.map(drop).map_err(refused)
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(self.keep_tail(&shutdown), shutdown.run_until_cancelled(self.keep_live()));
    }

    /// NATS may have come back without what it held.
    async fn keep_live(&self) {
        let mut connected = self.connected.clone();
        loop {
            let made = !*connected.borrow_and_update() || self.prepare_live().await;
            tokio::select! {
                changed = connected.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REMAKE), if !made => {}
            }
        }
    }

    /// Replies are made without it too: they are only not seen to grow on other nodes.
    async fn prepare_live(&self) -> bool {
        let made = self.make(live::stream()).await;
        if let Err(error) = &made {
            tracing::warn!(cause = in_full(error), "replies are not seen to grow on other nodes");
        }
        made.is_ok()
    }

    async fn keep_tail(&self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.fill() => tracing::debug!(?ended, "the tail begins again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// Takes what the stream carries into the tail, until the stream ends or fails.
    async fn fill(&self) -> Result<(), BusError> {
        let stream = self.context.get_stream(STREAM).await.map_err(refused)?;
        // An ordered consumer that has had no message yet begins at the stream's first one when NATS comes back.
        let reached = *self.tail.head().borrow();
        let floor = u64::try_from(reached.get()).unwrap_or(0).max(stream.cached_info().state.last_sequence);
        let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: floor + 1 };
        let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await.map_err(refused)?;
        let mut chunks = consumer.messages().await.map_err(refused)?.ready_chunks(CHUNK);
        while let Some(chunk) = chunks.next().await {
            let mut events = Vec::with_capacity(chunk.len());
            for message in chunk {
                let message = message.map_err(refused)?;
                if message.info().is_ok_and(|info| info.stream_sequence <= floor) {
                    return Ok(());
                }
                // What can't be read here leaves a gap, which every reader fills from the log.
                events.extend(serde_json::from_slice::<Recorded>(&message.payload).ok().map(Arc::new));
            }
            self.tail.push(events);
        }
        Ok(())
    }
}

/// Sends what can be sent without waiting: `None` where NATS is too far behind, or away for too long. Outside of the task's
/// budget, which would make a ready channel seem full.
pub(crate) fn at_once<F: Future>(sending: F) -> Option<F::Output> {
    tokio::task::unconstrained(sending).now_or_never()
}

fn options(up: watch::Sender<bool>) -> ConnectOptions {
    ConnectOptions::new()
        .name("colloquy")
        .client_capacity(UNSENT)
        .event_callback(move |event| {
            note(&up, &event);
            std::future::ready(())
        })
        .max_reconnects(None)
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .reconnect_delay_callback(|_| RETRY)
}

fn note(up: &watch::Sender<bool>, event: &Event) {
    let came = *event == Event::Connected;
    if came || *event == Event::Disconnected {
        up.send_if_modified(|known| std::mem::replace(known, came) != came);
    }
}

fn config(head: Position) -> Result<Config, BusError> {
    Ok(Config {
        name: STREAM.to_owned(),
        subjects: vec![ALL.to_owned()],
        first_sequence: Some(u64::try_from(head.next().get()).map_err(refused)?),
        max_age: KEPT,
        max_bytes: KEPT_BYTES,
        discard: DiscardPolicy::Old,
        ..Config::default()
    })
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(inner) if inner.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND)
}

pub(crate) fn refused(error: impl std::error::Error + Send + Sync + 'static) -> BusError {
    BusError::Nats(Box::new(error))
}
