//! What can be wrong with a reply, or with asking for one.

use axum::http::StatusCode;
use domain::chat::reply::Interruption;
use domain::ids::MessageId;

use super::{FieldError, Problem, Shape, shape};

#[derive(Debug)]
pub(crate) enum ReplyProblem {
    NoSuchMessage,
    NoSuchTask,
    /// No configured provider has the model; those that there are.
    UnknownModel(Vec<String>),
    /// Of OpenAI's: it would have to be done, and can't be.
    Unsupported(&'static str),
    /// An `Idempotency-Key` that came with another request.
    KeyReused,
    /// A reply that has not ended can't be asked for again.
    IsRunning,
    /// A reply that is complete can't be asked for again.
    IsComplete,
    /// The reply broke off; what there is of it stands in this message.
    Failed {
        reply: MessageId,
        reason: Interruption,
        retry_after: Option<u32>,
    },
    /// The reply is still being made.
    Pending(MessageId),
}

impl ReplyProblem {
    pub(super) const fn shape(&self) -> Shape {
        match self {
            Self::NoSuchMessage => shape(StatusCode::NOT_FOUND, "message_not_found", "Message not found."),
            Self::NoSuchTask => shape(StatusCode::NOT_FOUND, "task_not_found", "Task not found."),
            Self::UnknownModel(_) => {
                shape(StatusCode::UNPROCESSABLE_ENTITY, "unknown_model", "No configured provider has this model.")
            }
            Self::Unsupported(_) => shape(
                StatusCode::BAD_REQUEST,
                "unsupported_parameter",
                "This parameter, or what it says, is not supported.",
            ),
            Self::KeyReused => shape(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key came with another request before.",
            ),
            Self::IsRunning => shape(StatusCode::CONFLICT, "reply_running", "This reply has not ended yet."),
            Self::IsComplete => shape(StatusCode::CONFLICT, "reply_complete", "This reply is complete."),
            Self::Failed { reason: Interruption::RateLimited, .. } => shape(
                StatusCode::TOO_MANY_REQUESTS,
                "provider_rate_limited",
                "The model's provider takes no more requests for the moment. Please try again later.",
            ),
            Self::Failed { reason, .. } => {
                shape(StatusCode::BAD_GATEWAY, reason.as_str(), "The model's provider gave no complete reply.")
            }
            Self::Pending(_) => shape(
                StatusCode::GATEWAY_TIMEOUT,
                "reply_pending",
                "The reply is still being made. Read its message later.",
            ),
        }
    }

    pub(super) const fn retry_after(&self) -> Option<u32> {
        if let Self::Failed { retry_after, .. } = self { *retry_after } else { None }
    }

    pub(super) const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Failed { reply, .. } | Self::Pending(reply) => Some(*reply),
            Self::NoSuchMessage
            | Self::NoSuchTask
            | Self::UnknownModel(_)
            | Self::Unsupported(_)
            | Self::KeyReused
            | Self::IsRunning
            | Self::IsComplete => None,
        }
    }

    pub(super) fn errors(self) -> Vec<FieldError> {
        if let Self::UnknownModel(known) = self {
            vec![FieldError { field: "model", message: format!("must be one of {}", known.join(", ")) }]
        } else if let Self::Unsupported(field) = self {
            vec![FieldError { field, message: "can't be done here".to_owned() }]
        } else {
            Vec::new()
        }
    }
}

impl From<ReplyProblem> for Problem {
    fn from(problem: ReplyProblem) -> Self {
        Self::Reply(problem)
    }
}
