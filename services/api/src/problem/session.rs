//! What can be wrong with a change to a conversation.

use axum::http::StatusCode;

use super::{Problem, Shape, shape};

#[derive(Debug, Clone, Copy)]
pub(crate) enum SessionProblem {
    /// What a message is to follow is not there.
    NoSuchParent,
    /// The conversation is not where the client believed it to be.
    MovedOn,
    /// It was changed since the client last saw it.
    Changed,
    /// What the same request made before was deleted since, or has another secret.
    Gone,
    /// A message that can't be asked for again.
    NothingToRepeat,
}

impl SessionProblem {
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::NoSuchParent => {
                shape(StatusCode::CONFLICT, "parent_not_found", "The message that this is to follow does not exist.")
            }
            Self::MovedOn => shape(
                StatusCode::PRECONDITION_FAILED,
                "session_moved_on",
                "The conversation has moved on since you last saw it.",
            ),
            Self::Changed => shape(
                StatusCode::PRECONDITION_FAILED,
                "session_changed",
                "The session was changed since you last saw it.",
            ),
            Self::Gone => shape(
                StatusCode::GONE,
                "deleted",
                "What this request made when it first came was deleted or replaced since.",
            ),
            Self::NothingToRepeat => shape(
                StatusCode::CONFLICT,
                "nothing_to_repeat",
                "This is no reply that has ended, so there is none to ask for again.",
            ),
        }
    }
}

impl From<SessionProblem> for Problem {
    fn from(problem: SessionProblem) -> Self {
        Self::Session(problem)
    }
}
