//! Why a provider gave no answer, or broke one off.

use std::time::Duration;

use domain::chat::reply::Interruption;

/// What the reply is interrupted with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Failure {
    pub reason: Interruption,
    /// When another try may succeed, where a provider said so.
    pub retry_after: Option<Duration>,
    /// For the log: providers, models and statuses; never a key, an address, or anything that was said.
    pub detail: String,
}

impl Failure {
    pub(super) fn new(reason: Interruption, detail: impl Into<String>) -> Self {
        Self { reason, retry_after: None, detail: detail.into() }
    }

    /// Of all that was tried, the one to tell: a limit, because it says when to come back, else that of the model which
    /// was asked for. The log learns of all.
    pub(super) fn of_all(failures: Vec<Self>) -> Self {
        let limited = failures.iter().filter(|failure| failure.reason == Interruption::RateLimited);
        let retry_after = limited.clone().filter_map(|failure| failure.retry_after).min();
        let told = limited.clone().next().or(failures.first());
        let retry_after = retry_after.or_else(|| told?.retry_after);
        let reason = told.map_or(Interruption::ProviderFailed, |failure| failure.reason);
        let details: Vec<_> = failures.iter().map(|failure| failure.detail.as_str()).collect();
        Self { reason, retry_after, detail: details.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(seconds: u64) -> Failure {
        let retry_after = Some(Duration::from_secs(seconds));
        Failure { retry_after, ..Failure::new(Interruption::RateLimited, format!("for {seconds} s")) }
    }

    #[test]
    fn of_several_failures_a_limit_is_told_with_the_earliest_return() {
        let failed = Failure::new(Interruption::ProviderFailed, "HTTP 503");
        let told = Failure::of_all(vec![failed, limited(9), limited(4)]);
        assert_eq!((told.reason, told.retry_after), (Interruption::RateLimited, Some(Duration::from_secs(4))));
        assert_eq!(told.detail, "HTTP 503; for 9 s; for 4 s");
    }

    #[test]
    fn else_the_failure_of_what_was_asked_for_is_told() {
        let slow = Failure::new(Interruption::TimedOut, "slow");
        let failed = Failure::new(Interruption::ProviderFailed, "HTTP 503");
        assert_eq!(Failure::of_all(vec![slow, failed]).reason, Interruption::TimedOut);
    }
}
