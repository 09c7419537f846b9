//! The bus: JetStream between processes, or a ring in the one process that there is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::ids::MessageId;
use store::{Log, Position, Recorded, Ring, StoreError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::jetstream::JetStream;
use crate::live::Drafts;
use crate::work::Queue;

/// Carries events, in order, from the relay to every reader; replies that are wanted, to one replier each; and the text of
/// replies, to all who watch.
#[derive(Debug, Clone)]
pub enum Bus {
    InProcess(InProcess),
    Nats(Box<JetStream>),
}

/// The whole bus of a process that is alone.
#[derive(Debug, Clone)]
pub struct InProcess {
    ring: Arc<Ring>,
    /// From where on events are carried.
    begun: Arc<AtomicI64>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) stops: broadcast::Sender<MessageId>,
    pub(crate) drafts: Drafts,
}

/// How many requests to stop may wait for one who hears them.
const STOPS: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("nats-server {0} is too old: 2.10 or newer is needed")]
    TooOld(String),
    #[error("NATS refused: {0}")]
    Nats(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bus does not hold what comes right before; see [`Bus::resume`].
    #[error("the bus and the log are apart")]
    Apart,
    #[error(transparent)]
    Log(#[from] StoreError),
    #[error("an event can't be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Bus {
    /// What has to outlive the process lies in a folder, which is made where it is missing.
    pub fn in_process(folder: &Path) -> std::io::Result<Self> {
        let (stops, drafts) = (broadcast::Sender::new(STOPS), Drafts::open(folder)?);
        Ok(Self::InProcess(InProcess {
            ring: Arc::default(),
            begun: Arc::default(),
            queue: Arc::default(),
            stops,
            drafts,
        }))
    }

    /// Whether a URL can be one of NATS.
    #[must_use]
    pub fn is_address(url: &str) -> bool {
        url.contains("://") && url.parse::<async_nats::ServerAddr>().is_ok()
    }

    /// Connects to NATS, and waits for it as long as `patience`.
    pub async fn connect(url: &str, patience: Duration) -> Result<Self, BusError> {
        JetStream::connect(url, patience).await.map(Box::new).map(Self::Nats)
    }

    /// Up to where the bus has the log; what it holds of another log is dropped.
    pub async fn resume(&self, log: &Log) -> Result<Position, BusError> {
        match self {
            Self::InProcess(here) => {
                let carried = *here.ring.head().borrow();
                if carried != Position::START {
                    return Ok(carried);
                }
                let head = log.head().await?;
                here.begun.store(head.get(), Ordering::Relaxed);
                Ok(head)
            }
            Self::Nats(jetstream) => jetstream.resume(log).await,
        }
    }

    /// Up to where the bus has the log now; `None` where it can't say.
    pub async fn reached(&self) -> Option<Position> {
        match self {
            Self::InProcess(here) => {
                let begun = Position::new(here.begun.load(Ordering::Relaxed));
                Some(begun.max(*here.ring.head().borrow()))
            }
            Self::Nats(jetstream) => jetstream.reached().await,
        }
    }

    /// Carries events that follow on what the bus has; returns when it has them all.
    pub async fn publish(&self, events: &[Arc<Recorded>]) -> Result<(), BusError> {
        match self {
            Self::InProcess(here) => here.ring.push(events.iter().cloned()),
            Self::Nats(jetstream) => jetstream.publish(events).await?,
        }
        Ok(())
    }

    /// The newest events that have come over the bus into this process.
    #[must_use]
    pub const fn tail(&self) -> &Arc<Ring> {
        match self {
            Self::InProcess(here) => &here.ring,
            Self::Nats(jetstream) => &jetstream.tail,
        }
    }

    /// Fills the tail until told to stop.
    pub async fn run(&self, shutdown: CancellationToken) {
        match self {
            Self::InProcess(_) => shutdown.cancelled().await,
            Self::Nats(jetstream) => jetstream.run(shutdown).await,
        }
    }

    /// Whether several processes share it, so that one relay serves all.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Nats(_))
    }

    /// Whether events can travel now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match self {
            Self::InProcess(_) => true,
            Self::Nats(jetstream) => jetstream.is_connected(),
        }
    }
}
