//! What a reply is asked with, what came of it, and how it ended.

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::{MaxTokens, Temperature};

/// Whose reply it is, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    pub conversation: ConversationId,
    pub owner: UserId,
    pub to: MessageId,
}

/// The model, as `provider/model`, and how it is to speak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub model: String,
    #[serde(default)]
    pub max_tokens: Option<MaxTokens>,
    #[serde(default)]
    pub temperature: Option<Temperature>,
}

/// What came of it: all that was said, by whom, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub text: String,
    pub model: String,
    pub usage: Usage,
}

/// What a reply cost, in the model's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    /// The provider did not say; it was estimated from the text.
    #[serde(default)]
    pub estimated: bool,
    /// In millionths of a US dollar, where a price is known.
    #[serde(default)]
    pub cost_micros: Option<u64>,
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Completed {
        finish: FinishReason,
    },
    /// Somebody asked it to stop.
    Stopped,
    Interrupted {
        reason: Interruption,
        retry_after_seconds: Option<u32>,
    },
}

crate::words! {
    /// Why a model had no more to say.
    #[derive(Default)]
    FinishReason {
        #[default]
        Stop = "stop",
        /// It reached `max_tokens`, or the model's own limit.
        Length = "length",
        ContentFilter = "content_filter",
        Other = "other",
    }
}

crate::words! {
    /// Why a reply broke off, or never began.
    Interruption {
        RateLimited = "rate_limited",
        /// The provider failed, or could not be reached.
        ProviderFailed = "provider_failed",
        /// The provider would not take the request: another try is refused as well.
        ProviderRefused = "provider_refused",
        /// It ended without saying that it had ended.
        Truncated = "truncated",
        TimedOut = "timed_out",
        TooLong = "too_long",
        /// The process that made it is gone.
        NodeLost = "node_lost",
    }
}

impl Interruption {
    /// Whether asking once more may end better.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::ProviderRefused | Self::TooLong)
    }
}
