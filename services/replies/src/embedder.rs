//! `log ─▶ model ─▶ vector`: what was said is embedded by a provider's model. Nobody waits for it: until its vector comes, a
//! message is not found by that model.
//!
//! One node does it, under a lease. Which messages lack a vector it asks the read model, when that has all that was given
//! before: whoever dies, and wherever, who comes next pays for no text twice but for those that were under way.

mod batch;
mod turn;

use std::time::Duration;

use domain::chat::conversation::{Conversation, ConversationCommand};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::reply::Usage;
use domain::ids::MessageId;
use domain::values::Embedding;
use domain::{Metadata, UnknownEvent};
use nats::Bus;
use store::{Command, Executor, Lease, Log, Position, ReadModel, StoreError, Unit, fresh_id, in_full};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Failure, Providers};
use batch::Text;
use turn::{Turn, backoff};

/// Embeds what is said, where a provider's model is configured for it.
#[derive(Debug)]
pub struct Embedder {
    pub log: Log,
    pub bus: Bus,
    pub executor: Executor,
    pub embeddings: ReadModel,
    pub providers: Providers,
    /// How this process calls itself in the log.
    pub node: String,
}

#[derive(Debug, thiserror::Error)]
enum EmbedError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("an event can't be read")]
    Unknown(#[from] UnknownEvent),
    #[error("no vectors: {0}")]
    Provider(Failure),
    /// The read model lags behind, another node has the lease, or this process is about to stop.
    #[error("it is put off")]
    PutOff,
}

const LEASE: &str = "embed";
const RETRY: Duration = Duration::from_secs(1);

impl Embedder {
    /// Embeds until told to stop: as the leader, or standing by until the leader is gone. What was paid for is written down
    /// before it ends.
    pub async fn run(&self, shutdown: CancellationToken) {
        if self.providers.embedding_model().is_none() {
            return shutdown.cancelled().await;
        }
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let pause = match self.take_turn(&shutdown).await {
                Ok(()) => RETRY,
                Err(EmbedError::PutOff) => {
                    tracing::debug!("messages are embedded later");
                    RETRY
                }
                // What was paid for may be lost with it.
                Err(error) => {
                    failures += 1;
                    tracing::warn!(cause = in_full(&error), "messages are not embedded for a moment");
                    RETRY + backoff(failures, fastrand::f64())
                }
            };
            shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    async fn take_turn(&self, shutdown: &CancellationToken) -> Result<(), EmbedError> {
        let Some(model) = self.providers.embedding_model() else { return Ok(()) };
        let Some(lease) = Lease::try_take(self.log.db(), LEASE).await? else { return Ok(()) };
        Turn::begin(self, model, lease, shutdown).await?.follow().await
    }

    /// Where the vector stands in the log; `None` where its message is gone.
    async fn append(&self, text: &Text, embedding: Embedding, usage: Usage) -> Result<Option<Position>, EmbedError> {
        let metadata = Metadata {
            request_id: fresh_id::<Uuid>().to_string(),
            user: text.owner,
            node: Some(self.node.clone()),
            ..Metadata::default()
        };
        let command = EmbedMessage { id: text.message, embedding, usage };
        loop {
            match self.executor.execute(&command, metadata.clone()).await {
                Err(EmbedError::Message(_)) => return Ok(None),
                // It was paid for.
                Err(EmbedError::Store(error)) if error.is_passing() => {
                    tracing::warn!(cause = in_full(&error), "a vector can't be written yet");
                    tokio::time::sleep(RETRY).await;
                }
                other => return other.map(|done| done.position),
            }
        }
    }
}

/// `EmbedMessage` → `MessageEmbedded`.
struct EmbedMessage {
    id: MessageId,
    embedding: Embedding,
    usage: Usage,
}

impl Command for EmbedMessage {
    const NAME: &'static str = "embed_message";
    type Output = ();
    type Error = EmbedError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), EmbedError> {
        let mut stream = unit.load_fresh::<Message>(self.id).await?;
        let (conversation, by) = stream.state().place().ok_or(MessageError::NotFound)?;
        stream.decide(MessageCommand::Embed { by, embedding: self.embedding.clone(), usage: Some(self.usage) })?;
        // A conversation takes its messages along.
        let entered = unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by });
        entered.map_err(|_| MessageError::NotFound.into())
    }
}
