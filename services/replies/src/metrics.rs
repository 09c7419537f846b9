//! `reply ─▶ what is counted of it`: how it ended, by whose model, and how long its first word took.

use std::time::Duration;

use domain::chat::reply::{Ending, FinishReason};
use domain::chat::rules;
use metrics::{counter, describe_counter, describe_histogram, histogram};

use crate::Providers;

const REPLIES: &str = "colloquy_replies_total";
/// Named to whoever shows it, who knows its bounds.
pub const FIRST_TOKEN: &str = "colloquy_reply_first_token_seconds";

/// Says what each of them is.
pub fn describe() {
    describe_counter!(
        REPLIES,
        "Replies that ended, by who wrote that down: by provider, and by outcome (completed, stopped, or why it broke off)."
    );
    describe_histogram!(
        FIRST_TOKEN,
        "From when a reply was asked for at a provider to its first text, retries and others in its place included; by who answered."
    );
}

/// A reply has ended, and nobody else says so.
pub fn ended(providers: &Providers, model: &str, ending: &Ending) {
    let outcome = match ending {
        Ending::Completed { .. } => "completed",
        Ending::Stopped => "stopped",
        Ending::Interrupted { reason, .. } => reason.as_str(),
    };
    counter!(REPLIES, "provider" => provider(providers, model), "outcome" => outcome).increment(1);
}

/// The rule bot has answered.
pub fn given(providers: &Providers) {
    ended(providers, rules::MODEL, &Ending::Completed { finish: FinishReason::Stop });
}

pub(crate) fn begun(providers: &Providers, model: &str, took: Duration) {
    histogram!(FIRST_TOKEN, "provider" => provider(providers, model)).record(took);
}

/// The log may name a provider that is configured no more: those are one.
fn provider(providers: &Providers, model: &str) -> String {
    if model == rules::MODEL { model.to_owned() } else { providers.of_model(model).unwrap_or("other").to_owned() }
}
