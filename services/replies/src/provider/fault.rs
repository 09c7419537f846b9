//! What went wrong with one request to one provider, as far as it matters for what is done next.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use domain::chat::reply::Interruption;

use super::Failure;

/// No part of it is a secret, or a text of anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An answer that is none.
    Status { code: u16, retry_after: Option<Duration>, word: Option<String> },
    /// No connection, or one that broke.
    Broken { what: String },
    /// It does not speak as it should.
    Garbled,
    /// It ended without saying that it had ended.
    Truncated,
    /// It was silent for longer than it may be.
    Slow,
    /// Such a request can't be made, or has no answer.
    Unanswerable,
}

impl Fault {
    /// Why an answer ends that had begun.
    pub fn in_midstream(self, model: &str) -> Failure {
        let reason = match &self {
            Self::Status { code: 429, .. } => Interruption::RateLimited,
            Self::Status { .. } | Self::Garbled | Self::Unanswerable => Interruption::ProviderFailed,
            Self::Broken { .. } | Self::Truncated => Interruption::Truncated,
            Self::Slow => Interruption::TimedOut,
        };
        self.failure(reason, model)
    }

    pub fn failure(&self, reason: Interruption, model: &str) -> Failure {
        let retry_after = match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Broken { .. } | Self::Garbled | Self::Truncated | Self::Slow | Self::Unanswerable => None,
        };
        Failure { reason, retry_after, detail: format!("{model}: {self}") }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, word: Some(word), .. } => write!(f, "status {code} ({word})"),
            Self::Status { code, word: None, .. } => write!(f, "status {code}"),
            Self::Broken { what } => write!(f, "no connection ({what})"),
            Self::Garbled => f.write_str("an answer that can't be read"),
            Self::Truncated => f.write_str("an answer without an end"),
            Self::Slow => f.write_str("nothing for too long"),
            Self::Unanswerable => f.write_str("a request that has no answer"),
        }
    }
}
