//! Live text on NATS: told without waiting for an answer, heard at once, and kept for a while for whoever comes late.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::consumer::pull::Config as Replay;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::stream::{Config, StorageType};
use domain::ids::MessageId;
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use super::Chunk;
use super::chunk::stitch;
use crate::BusError;
use crate::jetstream::{ANSWER, ENVELOPE, JetStream, at_once, refused};
use crate::subject::{ALL_LIVE, live_of};

const STREAM: &str = "COLLOQUY_LIVE";
/// Longer than any reply takes.
const KEPT: Duration = Duration::from_mins(15);
const KEPT_BYTES: i64 = 256 << 20;
/// How many messages are asked for at once: far fewer than a connection has room for.
const PAGE: usize = 1_000;
/// How long something may be on its way into the stream.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// How long NATS remembers who asked for what was told.
const FORGOTTEN: Duration = Duration::from_secs(5);

pub(crate) fn stream() -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![ALL_LIVE.to_owned()],
        storage: StorageType::Memory,
        max_age: KEPT,
        max_bytes: KEPT_BYTES,
        ..Config::default()
    }
}

pub(super) fn tell(jetstream: &JetStream, reply: MessageId, chunk: &Chunk) {
    if !jetstream.is_connected() {
        return;
    }
    let most = jetstream.client.max_payload().saturating_sub(ENVELOPE);
    for message in chunk.encode_within(most) {
        let _ = at_once(jetstream.client.publish(live_of(reply), message));
    }
}

/// What was told of a reply so far, in runs without a gap.
pub(super) async fn replay(jetstream: &JetStream, reply: MessageId) -> Result<Vec<Chunk>, BusError> {
    let consumer = replayer(jetstream, reply).await?;
    let mut left = usize::try_from(consumer.cached_info().num_pending).unwrap_or(usize::MAX);
    let mut told = Vec::new();
    while left > 0 {
        let some = consumer.batch().max_messages(left.min(PAGE)).expires(ANSWER).messages().await.map_err(refused)?;
        let some: Vec<_> = some.try_collect().await.map_err(BusError::Nats)?;
        if some.is_empty() {
            return Err(refused(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        }
        left = left.saturating_sub(some.len());
        told.extend(some.iter().filter_map(|message| Chunk::decode(&message.payload)));
    }
    Ok(stitch(told))
}

/// A consumer for one reader of one reply; it goes by itself. The stream is made where NATS has lost it.
async fn replayer(jetstream: &JetStream, reply: MessageId) -> Result<PullConsumer, BusError> {
    let config = Replay {
        filter_subject: live_of(reply),
        ack_policy: AckPolicy::None,
        memory_storage: true,
        inactive_threshold: FORGOTTEN,
        ..Replay::default()
    };
    if let Ok(consumer) = jetstream.context.create_consumer_on_stream(config.clone(), STREAM).await {
        return Ok(consumer);
    }
    jetstream.make(stream()).await?;
    jetstream.context.create_consumer_on_stream(config, STREAM).await.map_err(refused)
}

/// One reader of a reply that is made elsewhere.
pub(super) struct Told {
    jetstream: JetStream,
    reply: MessageId,
    heard: Subscriber,
    waiting: VecDeque<Chunk>,
    /// Up to where there is no gap, or none that can be mended.
    reached: u64,
    /// Until then something may be on its way into the stream that was neither heard nor kept when this one came: it is asked for
    /// once more, unless what is heard meanwhile tells.
    doubts_until: Option<Instant>,
}

impl Told {
    /// Listens first and asks then, so that nothing is lost between.
    pub(super) async fn new(jetstream: &JetStream, reply: MessageId) -> Result<Self, BusError> {
        let heard = jetstream.client.subscribe(live_of(reply)).await.map_err(refused)?;
        let waiting: VecDeque<_> = replay(jetstream, reply).await?.into();
        let reached = waiting.front().map_or(0, |first| first.at);
        let doubts_until = Some(Instant::now() + UNDER_WAY);
        Ok(Self { jetstream: jetstream.clone(), reply, heard, waiting, reached, doubts_until })
    }

    pub(super) async fn next(&mut self) -> Option<Chunk> {
        loop {
            if self.waiting.front().is_some_and(|chunk| chunk.at > self.reached) {
                self.mend().await;
            }
            if let Some(chunk) = self.waiting.pop_front() {
                self.reached = self.reached.max(chunk.end());
                return Some(chunk);
            }
            let heard = match self.doubts_until {
                Some(until) => timeout_at(until, self.heard.next()).await,
                None => Ok(self.heard.next().await),
            };
            match heard {
                Ok(message) => self.waiting.extend(Chunk::decode(&message?.payload)),
                Err(_) => self.mend().await,
            }
            self.doubts_until = None;
        }
    }

    /// What was not heard may be kept: it was on its way into the stream when it was asked for, or this reader was too slow.
    /// It is asked for once.
    async fn mend(&mut self) {
        let missed = replay(&self.jetstream, self.reply).await.unwrap_or_default();
        for chunk in missed.into_iter().rev().filter(|chunk| chunk.end() > self.reached) {
            self.waiting.push_front(chunk);
        }
        self.reached = self.waiting.front().map_or(self.reached, |first| first.at);
    }
}
