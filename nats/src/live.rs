//! `replier ─▶ bus ─▶ whoever watches`: the text of a reply while it grows, and the wish that it stop. The log has the end.

mod chunk;
mod drafts;
mod told;

use std::future::pending;

use async_nats::Subscriber;
use domain::ids::MessageId;
use futures::StreamExt;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::jetstream::{ANSWER, JetStream, refused};
use crate::subject::{ALL_STOPS, reply_in, stop_of};
use crate::{Bus, BusError};
pub use chunk::Chunk;
use drafts::Draft;
pub(crate) use drafts::Drafts;
use told::Told;
pub(crate) use told::stream;

impl Bus {
    /// For whoever makes the reply.
    #[must_use]
    pub fn speaker(&self, reply: MessageId) -> Speaker {
        Speaker(match self {
            Self::InProcess(here) => Voice::InProcess(here.drafts.draft(reply)),
            Self::Nats(jetstream) => Voice::Nats(jetstream.clone(), reply),
        })
    }

    /// What is told of a reply, from its start and on; some of it may come twice. In one process nothing is ever heard:
    /// whoever speaks is here.
    pub async fn hear(&self, reply: MessageId) -> Result<Hearing, BusError> {
        Ok(Hearing(match self {
            Self::InProcess(_) => None,
            Self::Nats(jetstream) => Some(Box::new(Told::new(jetstream, reply).await?)),
        }))
    }

    /// The text that was told so far, up to a gap, for whoever takes over from a replier that died. Empty where there is none.
    pub async fn said(&self, reply: MessageId) -> Result<String, BusError> {
        let told = match self {
            Self::InProcess(_) => return Ok(self.left_of(reply)),
            Self::Nats(jetstream) => told::replay(jetstream, reply).await?,
        };
        let first = told.into_iter().next().filter(|first| first.at == 0);
        Ok(first.map(|first| first.text).unwrap_or_default())
    }

    /// What was told of a reply by a process that is gone, where nobody else can have heard it: empty on NATS.
    #[must_use]
    pub fn left_of(&self, reply: MessageId) -> String {
        match self {
            Self::InProcess(here) => here.drafts.read(reply),
            Self::Nats(_) => String::new(),
        }
    }

    /// Of which replies there is something left, whether they have ended or not.
    #[must_use]
    pub fn left(&self) -> Vec<MessageId> {
        match self {
            Self::InProcess(here) => here.drafts.all(),
            Self::Nats(_) => Vec::new(),
        }
    }

    /// The log has all of it. NATS forgets by itself.
    pub fn forget(&self, reply: MessageId) {
        match self {
            Self::InProcess(here) => here.drafts.remove(reply),
            Self::Nats(_) => {}
        }
    }

    /// Asks whoever makes the reply to stop. An error says that NATS may not have heard it.
    pub async fn ask_to_stop(&self, reply: MessageId) -> Result<(), BusError> {
        match self {
            // Nobody hears it where nobody makes replies.
            Self::InProcess(here) => drop(here.stops.send(reply)),
            Self::Nats(jetstream) => {
                tokio::time::timeout(ANSWER, send_stop(jetstream, reply)).await.map_err(refused)??;
            }
        }
        Ok(())
    }

    /// Every request to stop, whoever makes the reply, from now on.
    pub async fn stops(&self) -> Result<Stops, BusError> {
        Ok(match self {
            Self::InProcess(here) => Stops::InProcess(here.stops.subscribe()),
            Self::Nats(jetstream) => {
                let asked = jetstream.client.subscribe(ALL_STOPS).await.map_err(refused)?;
                // NATS takes one thing after the other: when it answers this, it has the subscription.
                jetstream.make(stream()).await?;
                Stops::Nats(asked)
            }
        })
    }
}

async fn send_stop(jetstream: &JetStream, reply: MessageId) -> Result<(), BusError> {
    jetstream.client.publish(stop_of(reply), "".into()).await.map_err(refused)?;
    jetstream.client.flush().await.map_err(refused)
}

/// Tells the text of one reply, piece by piece.
#[derive(Debug)]
pub struct Speaker(Voice);

#[derive(Debug)]
enum Voice {
    InProcess(Draft),
    Nats(Box<JetStream>, MessageId),
}

impl Speaker {
    /// Tells all who hear it. Never waits for them; lost while NATS is away. In one process it is kept for the next one.
    pub fn tell(&mut self, chunk: &Chunk) {
        match &mut self.0 {
            Voice::InProcess(draft) => draft.add(chunk),
            Voice::Nats(jetstream, reply) => told::tell(jetstream, *reply, chunk),
        }
    }
}

/// One reader of a reply that is made in another process.
pub struct Hearing(Option<Box<Told>>);

impl Hearing {
    /// The next text; `None` when this process goes. Nothing is lost when the waiting is given up.
    pub async fn next(&mut self) -> Option<Chunk> {
        match &mut self.0 {
            Some(told) => told.next().await,
            None => pending().await,
        }
    }
}

/// The wishes of all nodes that a reply stop.
#[derive(Debug)]
pub enum Stops {
    InProcess(Receiver<MessageId>),
    Nats(Subscriber),
}

impl Stops {
    /// Which reply is to stop; `None` when this process goes. Nothing is lost when the waiting is given up.
    pub async fn next(&mut self) -> Option<MessageId> {
        match self {
            Self::InProcess(asked) => loop {
                match asked.recv().await {
                    Ok(reply) => return Some(reply),
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(_)) => {}
                }
            },
            Self::Nats(asked) => loop {
                if let Some(reply) = reply_in(&asked.next().await?.subject) {
                    return Some(reply);
                }
            },
        }
    }
}
