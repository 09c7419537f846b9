//! What a client asks over a socket.

use domain::ids::MessageId;
use serde::Deserialize;

use crate::extract::{IdempotencyKey, unfit};
use crate::problem::{Problem, ReplyProblem};
use crate::routes::posting::PostRequest;

pub(super) enum Asked {
    Post(Box<PostRequest>, IdempotencyKey),
    Stop(MessageId),
    Resume {
        id: MessageId,
        /// The last frame that the client has.
        after: usize,
    },
}

/// What is said of a frame beside a message's own fields.
#[derive(Deserialize)]
struct Envelope {
    r#type: Option<String>,
    id: Option<String>,
    after: Option<usize>,
    idempotency_key: Option<String>,
}

impl Asked {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let envelope: Envelope = read(text)?;
        match envelope.r#type.as_deref() {
            None | Some("message") => {
                let name = envelope.idempotency_key.as_deref();
                let key = name.map(|name| IdempotencyKey::of("idempotency_key", Some(name))).transpose()?;
                Ok(Self::Post(read(text)?, key.unwrap_or(IdempotencyKey(None))))
            }
            Some("stop") => Ok(Self::Stop(envelope.reply()?)),
            Some("resume") => Ok(Self::Resume { id: envelope.reply()?, after: envelope.after.unwrap_or(0) }),
            Some(_) => Err(Problem::invalid("type", "must be message, stop or resume, or be left out")),
        }
    }

    /// Whether one reply more is to run.
    pub(super) const fn is_for_more(&self) -> bool {
        match self {
            Self::Post(..) | Self::Resume { .. } => true,
            Self::Stop(_) => false,
        }
    }

    /// The reply that is meant.
    pub(super) const fn reply(&self) -> Option<MessageId> {
        match self {
            Self::Post(..) => None,
            Self::Stop(id) | Self::Resume { id, .. } => Some(*id),
        }
    }
}

impl Envelope {
    fn reply(&self) -> Result<MessageId, Problem> {
        let id = self.id.as_deref().ok_or_else(|| Problem::invalid("id", "must be the id of a reply"))?;
        id.parse().map_err(|_| ReplyProblem::NoSuchMessage.into())
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| unfit(&error))
}
