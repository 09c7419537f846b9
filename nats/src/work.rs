//! `reply wanted ─▶ bus ─▶ one replier`: hands each reply that is to be made to one replier at a time, and to another when
//! that one dies.

mod pull;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;
use domain::ids::MessageId;

use crate::jetstream::{ANSWER, at_once};
use crate::{Bus, BusError};
use pull::Pull;
pub(crate) use queue::Queue;

/// How often a replier says that it is still at it: often enough that a lost word or a busy moment costs it nothing.
pub const KEEP_EVERY: Duration = Duration::from_secs(3);
/// After how long without a word a replier counts as dead.
const ALIVE: Duration = Duration::from_secs(10);
/// How long NATS keeps back what a replier dropped, so that a reply which breaks every replier does not keep them all busy.
const PAUSE: Duration = Duration::from_secs(1);

impl Bus {
    /// Offers a reply to the repliers. Offering it again while it is there changes nothing.
    pub async fn offer(&self, reply: MessageId) -> Result<(), BusError> {
        match self {
            Self::InProcess(here) => here.queue.offer(reply),
            Self::Nats(jetstream) => pull::offer(jetstream, reply).await?,
        }
        Ok(())
    }

    /// A replier's end of the work.
    pub async fn work(&self) -> Result<Work, BusError> {
        Ok(Work(match self {
            Self::InProcess(here) => End::InProcess(here.queue.clone()),
            Self::Nats(jetstream) => End::Nats(Box::new(Pull::new(jetstream).await?)),
        }))
    }
}

/// Where a replier gets its work from.
pub struct Work(End);

enum End {
    InProcess(Arc<Queue>),
    Nats(Box<Pull>),
}

impl Work {
    /// Waits for a reply to make. Nothing is lost when the waiting is given up. It outlives NATS going away and losing
    /// everything; after an error, begin with a new [`Bus::work`].
    pub async fn next(&mut self) -> Result<Claim, BusError> {
        match &mut self.0 {
            End::InProcess(queue) => {
                let (reply, again) = queue.next().await;
                Ok(Claim { reply, again, held: Some(Held::InProcess(queue.clone())) })
            }
            End::Nats(pull) => {
                let (reply, again, acker) = pull.next().await?;
                Ok(Claim { reply, again, held: Some(Held::Nats(acker)) })
            }
        }
    }
}

/// One reply, and the right to make it. Dropped before it is [`done`](Claim::done), somebody gets it again.
pub struct Claim {
    pub reply: MessageId,
    again: bool,
    held: Option<Held>,
}

enum Held {
    InProcess(Arc<Queue>),
    Nats(Box<Acker>),
}

impl Claim {
    /// Whether somebody may have begun it before, and did not end it.
    #[must_use]
    pub const fn is_again(&self) -> bool {
        self.again
    }

    /// Says that this replier is still at it, every [`KEEP_EVERY`]. Where NATS is away, nobody is told, and the reply goes on.
    pub async fn keep(&self) {
        if let Some(Held::Nats(acker)) = &self.held {
            let _ = tokio::time::timeout(ANSWER, acker.ack_with(AckKind::Progress)).await;
        }
    }

    /// The reply has ended. Where NATS does not hear it, the reply comes again, and whoever gets it finds it ended.
    pub async fn done(mut self) {
        match self.held.take() {
            Some(Held::InProcess(queue)) => queue.done(self.reply),
            Some(Held::Nats(acker)) => answer(&acker, AckKind::Ack).await,
            None => {}
        }
    }

    /// This process is at it already, by a claim that NATS took for dropped: that one is kept, and counts for both.
    pub fn leave_to_the_first(mut self) {
        self.held = None;
    }

    /// Leaves the reply to somebody else, at once. When it returns, this process may go.
    pub async fn give_back(mut self) {
        match self.held.take() {
            Some(Held::InProcess(queue)) => queue.again(self.reply),
            Some(Held::Nats(acker)) => answer(&acker, AckKind::Nak(None)).await,
            None => {}
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::InProcess(queue)) => queue.again(self.reply),
            Some(Held::Nats(acker)) => drop(at_once(acker.ack_with(AckKind::Nak(Some(PAUSE))))),
            None => {}
        }
    }
}

/// Returns when NATS has it, or is not to be waited for: then the claim's time runs out, and the reply comes again.
async fn answer(acker: &Acker, kind: AckKind) {
    let _ = tokio::time::timeout(ANSWER, acker.double_ack_with(kind)).await;
}
