//! Work on JetStream: a stream that holds each wanted reply once, and one consumer that all repliers share.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Batch, Config as Repliers};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{self, AckKind, ErrorCode, Message};
use bytes::Bytes;
use domain::ids::MessageId;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ALIVE;
use crate::BusError;
use crate::jetstream::{JetStream, at_once, refused};
use crate::subject::{ALL_WORK, reply_in, work_on};

const STREAM: &str = "COLLOQUY_WORK";
const REPLIERS: &str = "repliers";
/// How many replies may be in the making, on all nodes together.
const MOST: i64 = 20_000;
/// How long a request for work stands before it is made anew.
const STANDS: Duration = Duration::from_secs(30);
/// What came for a replier that did not look for as long is left to another, which NATS will give it to.
const UNATTENDED: Duration = Duration::from_secs(5);

pub(super) async fn offer(jetstream: &JetStream, reply: MessageId) -> Result<(), BusError> {
    match publish(jetstream, reply).await {
        Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
            jetstream.make(stream()).await?;
            publish(jetstream, reply).await.map_err(refused)
        }
        offered => offered.map_err(refused),
    }
}

async fn publish(jetstream: &JetStream, reply: MessageId) -> Result<(), PublishError> {
    match jetstream.context.publish(work_on(reply), Bytes::new()).await?.await {
        Err(error) if is_there(&error) => Ok(()),
        offered => offered.map(drop),
    }
}

/// The server has one code for all that it can't store, and only words for this.
fn is_there(error: &PublishError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    source.is_some_and(|it| it.error_code() == ErrorCode::STREAM_STORE_FAILED && it.to_string().contains("per subject"))
}

/// Asks for one reply at a time, and only when there is somebody to make it: nothing lies in a buffer while its time runs out.
pub(super) struct Pull {
    jetstream: JetStream,
    consumer: PullConsumer,
    connected: watch::Receiver<bool>,
    asked: Option<Batch>,
    /// When this replier last waited for an answer.
    attended: Instant,
    /// When NATS was last seen to go or to come back.
    shaken: Option<Instant>,
    /// Whether the last answer was a failure.
    failed: bool,
}

impl Pull {
    pub(super) async fn new(jetstream: &JetStream) -> Result<Self, BusError> {
        let consumer = repliers(jetstream).await?;
        let connected = jetstream.connected.clone();
        let jetstream = jetstream.clone();
        Ok(Self { jetstream, consumer, connected, asked: None, attended: Instant::now(), shaken: None, failed: false })
    }

    pub(super) async fn next(&mut self) -> Result<(MessageId, bool, Box<Acker>), BusError> {
        if self.attended.elapsed() > UNATTENDED {
            self.asked = None;
        }
        loop {
            match self.answer().await {
                Some(Ok(message)) => {
                    self.failed = false;
                    let Some((reply, again, acker)) = claim(message) else { continue };
                    if !again || self.is_settled() {
                        return Ok((reply, again, acker));
                    }
                    // NATS is told nothing: it gives the reply to somebody once more, unless its replier is heard by then.
                }
                Some(Err(error)) => self.mend(error).await?,
                None => self.failed = false,
            }
        }
    }

    /// Whether NATS has been there long enough for those to be heard who are still at their replies. While it was away,
    /// nobody was, and it takes them all for dead.
    fn is_settled(&mut self) -> bool {
        self.notice();
        self.shaken.is_none_or(|shaken| shaken.elapsed() > ALIVE)
    }

    fn notice(&mut self) {
        if self.connected.has_changed().unwrap_or_default() {
            self.shaken = Some(Instant::now());
        }
    }

    /// What comes of one request; `None` where it came to nothing and nobody is to blame. The request stands until it is
    /// answered, also when the waiting is given up and begun again.
    async fn answer(&mut self) -> Option<Result<Message, BusError>> {
        if self.asked.is_none() {
            // A request that NATS has forgotten is never answered: whenever NATS went, it is made anew.
            self.notice();
            if !*self.connected.borrow_and_update() {
                self.connected.wait_for(|up| *up).await.ok();
                self.shaken = Some(Instant::now());
            }
            let batch = self.consumer.batch().max_messages(1).expires(STANDS).messages();
            match batch.await {
                Ok(batch) => self.asked = Some(batch),
                Err(error) => return Some(Err(refused(error))),
            }
        }
        let asked = self.asked.as_mut()?;
        let _attended = Attended(&mut self.attended);
        let answer = tokio::select! {
            biased;
            message = asked.next() => message,
            Ok(()) = self.connected.changed() => {
                self.shaken = Some(Instant::now());
                None
            }
        };
        self.asked = None;
        answer.map(|message| message.map_err(BusError::Nats))
    }

    /// NATS may have lost the stream or the consumer. What fails twice in a row is for others to judge.
    async fn mend(&mut self, error: BusError) -> Result<(), BusError> {
        if std::mem::take(&mut self.failed) {
            return Err(error);
        }
        self.consumer = repliers(&self.jetstream).await?;
        self.failed = true;
        Ok(())
    }
}

/// Notes when the waiting ended, however it ended.
struct Attended<'a>(&'a mut Instant);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        *self.0 = Instant::now();
    }
}

/// `None` for what is no reply: it is taken out of the way.
fn claim(message: Message) -> Option<(MessageId, bool, Box<Acker>)> {
    let again = message.info().is_ok_and(|info| info.delivered > 1);
    let (message, acker) = message.split();
    let acker = Box::new(acker);
    let Some(reply) = reply_in(&message.subject) else {
        let _ = at_once(acker.ack_with(AckKind::Term));
        return None;
    };
    Some((reply, again, acker))
}

/// The consumer of all repliers; it and the stream are made where they are missing.
async fn repliers(jetstream: &JetStream) -> Result<PullConsumer, BusError> {
    jetstream.make(stream()).await?;
    let config = Repliers {
        durable_name: Some(REPLIERS.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ALIVE,
        max_ack_pending: MOST,
        ..Repliers::default()
    };
    jetstream.context.create_consumer_on_stream(config, STREAM).await.map_err(refused)
}

/// The server refuses a reply that is there already.
fn stream() -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![ALL_WORK.to_owned()],
        retention: RetentionPolicy::WorkQueue,
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..Config::default()
    }
}
