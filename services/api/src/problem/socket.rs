//! What can be wrong with a socket.

use axum::http::StatusCode;

use super::{Problem, Shape, shape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketProblem {
    /// Something else was asked for where only a socket can be opened.
    NotAsked,
    /// So many replies run over it already.
    TooManyReplies,
    /// What was shown when it was opened is good no more.
    TokenExpired,
}

impl SocketProblem {
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::NotAsked => {
                shape(StatusCode::UPGRADE_REQUIRED, "no_socket", "This path is opened as a WebSocket, version 13.")
            }
            Self::TooManyReplies => shape(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_replies",
                "Too many replies run over this socket. Please wait until one has ended.",
            ),
            Self::TokenExpired => shape(
                StatusCode::UNAUTHORIZED,
                "token_expired",
                "What was shown to open this socket has expired. Please open another.",
            ),
        }
    }
}

impl From<SocketProblem> for Problem {
    fn from(problem: SocketProblem) -> Self {
        Self::Socket(problem)
    }
}
