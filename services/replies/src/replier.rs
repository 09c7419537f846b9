//! The loops of a process that makes replies: offer what is awaited, claim, make, hear who wants one to stop.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::chat::message::Message;
use domain::ids::MessageId;
use nats::{Bus, Claim, Feed, KEEP_EVERY};
use projections::history;
use store::{Executor, Lease, Log, Position, ReadModel, Recorded, in_full};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::making::{Halt, MakeError};
use crate::{Context, Live, Providers, Titles};

/// Makes replies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Replier(Arc<Parts>);

/// What a [`Replier`] is made of.
#[derive(Debug)]
pub struct Parts {
    pub log: Log,
    pub bus: Bus,
    pub executor: Executor,
    pub history: ReadModel,
    pub providers: Providers,
    pub live: Live,
    pub context: Context,
    pub titles: Titles,
    /// How this process calls itself in the log.
    pub node: String,
    /// How many replies it makes at once.
    pub at_once: usize,
}

/// Those that are made here, by what stops them.
type Running = Arc<Mutex<HashMap<MessageId, CancellationToken>>>;

/// A reply that is made here, until this goes, by a panic even.
struct Here<'a> {
    running: &'a Running,
    reply: MessageId,
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.reply);
    }
}

const LEASE: &str = "offer-replies";
/// How often all that is awaited is offered again.
const SWEEP: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(250);
/// How long a reply waits that can't be made just now.
const PUT_OFF: Duration = Duration::from_secs(1);
const BATCH: u32 = 1_000;

impl std::ops::Deref for Replier {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Replier {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Makes replies until told to stop; then those that have begun end as they stand, and others are left to whoever goes on.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (running, tasks) = (Running::default(), TaskTracker::new());
        let work = async {
            tokio::join!(
                again(|| self.offer_all(), "replies are not offered for a moment"),
                again(|| self.hear_stops(&running), "stops are not heard for a moment"),
                again(|| self.claim_all(&running, &tasks, &shutdown), "replies are not claimed for a moment"),
            )
        };
        shutdown.run_until_cancelled(Box::pin(work)).await;
        tasks.close();
        tasks.wait().await;
    }

    /// Offers what the log says is awaited: whoever asked for it may have died before it could, or the bus lost the offer.
    async fn offer_all(&self) -> Result<(), MakeError> {
        self.forget_ended().await?;
        let mut lease = None;
        if self.bus.is_shared() {
            let Some(taken) = Lease::try_take(self.log.db(), LEASE).await? else { return Ok(()) };
            lease = Some(taken);
        }
        let head = self.log.head().await?;
        self.history.wait_for(head, PUT_OFF).await?;
        let mut feed = Feed::new(self.log.clone(), self.bus.tail().clone(), head);
        let mut sweeps = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                events = feed.next(BATCH as usize) => self.offer_requested(&events?).await?,
                _ = sweeps.tick() => {
                    if let Some(lease) = &mut lease && !lease.holds().await {
                        return Ok(());
                    }
                    self.offer_awaited().await?;
                }
            }
        }
    }

    /// Whoever was before may have died between the end of a reply and forgetting it.
    async fn forget_ended(&self) -> Result<(), MakeError> {
        for reply in self.bus.left() {
            let is_awaited = matches!(self.executor.look::<Message>(reply).await?, Message::Awaited { .. });
            if !is_awaited {
                self.bus.forget(reply);
            }
        }
        Ok(())
    }

    async fn offer_requested(&self, events: &[Arc<Recorded>]) -> Result<(), MakeError> {
        for event in events.iter().filter(|event| event.event_type == "ReplyRequested") {
            if let Ok(reply) = event.stream_id.parse() {
                self.bus.offer(reply).await?;
            }
        }
        Ok(())
    }

    async fn offer_awaited(&self) -> Result<(), MakeError> {
        let mut after = Position::START;
        loop {
            let some = history::awaited(self.history.db(), after, BATCH).await?;
            let Some((_, last)) = some.last() else { return Ok(()) };
            after = *last;
            for (reply, _) in some {
                self.bus.offer(reply).await?;
            }
        }
    }

    async fn hear_stops(&self, running: &Running) -> Result<(), MakeError> {
        let mut stops = self.bus.stops().await?;
        while let Some(reply) = stops.next().await {
            if let Some(stop) = running.lock().unwrap_or_else(PoisonError::into_inner).get(&reply) {
                stop.cancel();
            }
        }
        Ok(())
    }

    async fn claim_all(
        &self,
        running: &Running,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<(), MakeError> {
        let places = Arc::new(Semaphore::new(self.at_once));
        let mut work = self.bus.work().await?;
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
            let claim = work.next().await?;
            let (replier, running, leave) = (self.clone(), running.clone(), shutdown.clone());
            tasks.spawn(async move {
                let _place = place;
                replier.answer(claim, &running, leave).await;
            });
        }
    }

    async fn answer(&self, claim: Claim, running: &Running, leave: CancellationToken) {
        let (reply, is_again) = (claim.reply, claim.is_again());
        let halt = Halt { stop: CancellationToken::new(), leave };
        match running.lock().unwrap_or_else(PoisonError::into_inner).entry(reply) {
            Entry::Vacant(place) => drop(place.insert(halt.stop.clone())),
            // This process was held up for so long that it counted as dead.
            Entry::Occupied(_) => return claim.leave_to_the_first(),
        }
        let here = Here { running, reply };
        // Somebody else may end it: one who was asked to stop it, or one who thought that this process was gone.
        let mut watch = self.live.watch_end(reply);
        let was_over = watch.has_ended();
        let made = tokio::select! {
            made = self.make(reply, is_again, &halt) => made,
            _ = watch.end() => Ok(!was_over),
            () = keep(&claim) => Ok(false),
        };
        drop(here);
        match made {
            Ok(was_made) => {
                self.bus.forget(reply);
                if was_made {
                    self.name_after(reply, watch);
                }
                claim.done().await;
            }
            Err(error) => {
                if !matches!(error, MakeError::PutOff) {
                    tracing::warn!(%reply, cause = in_full(&error), "a reply is put off");
                }
                let _ = halt.leave.run_until_cancelled(tokio::time::sleep(PUT_OFF)).await;
                claim.give_back().await;
            }
        }
    }
}

/// Says again and again that somebody is at it; never returns.
async fn keep(claim: &Claim) {
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        claim.keep().await;
    }
}

/// Does what should never end, again and again.
async fn again<W: Future<Output = Result<(), MakeError>>>(work: impl Fn() -> W, trouble: &str) {
    loop {
        if let Err(error) = work().await {
            tracing::warn!(cause = in_full(&error), "{trouble}");
        }
        tokio::time::sleep(RETRY).await;
    }
}
