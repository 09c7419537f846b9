//! One model that is asked something: its keys in turn, and a few tries, until it says something.

use std::sync::Arc;
use std::time::Duration;

use domain::chat::reply::Interruption;
use tokio::time::{Instant, sleep};

use super::Failure;
use super::asking::{Inner, Miss};
use super::backoff::{TRIES, delay};
use super::entry::Entry;
use super::fault::Fault;
use super::keys::{Exhausted, KeyPool, Passed, Taken};
use super::vendor::Target;

/// What a model is asked.
pub trait Question: Sync + Sized {
    type Given: Send;

    /// One try with one key, up to the point from which nothing is tried again.
    fn put(
        &self,
        attempt: &Attempt<'_, Self>,
        target: &Target<'_>,
    ) -> impl Future<Output = Result<Self::Given, Fault>> + Send;
}

/// One model, for one question.
pub struct Attempt<'a, Q> {
    pub inner: &'a Arc<Inner>,
    pub question: &'a Q,
    /// `provider/model`.
    pub full: &'a str,
    pub entry: &'a Entry,
    pub model: &'a str,
    pub pool: &'a KeyPool,
    /// Whether nobody stands in for it.
    pub is_last: bool,
    pub first_token_by: Instant,
    pub over_by: Instant,
}

/// What ends a try.
enum Halt {
    /// The same once more may help; where the provider said so, not before so long.
    Again(Option<Duration>, Failure),
    Leave(Miss),
}

impl<Q: Question> Attempt<'_, Q> {
    /// Tries end when a pause would last longer than the first token may take, and where the provider asks for a pause
    /// though another could answer meanwhile.
    pub async fn answer(&self) -> Result<Q::Given, Miss> {
        let (mut tries, mut passed) = (0, Passed::default());
        loop {
            if !self.inner.breakers.admits(self.full, Instant::now()) {
                return Err(Miss::Next(self.failure(Interruption::ProviderFailed, "left alone after failures")));
            }
            tries += 1;
            let (after, failure) = match self.try_keys(&mut passed).await {
                Ok(answer) => return Ok(answer),
                Err(Halt::Leave(miss)) => return Err(miss),
                Err(Halt::Again(after, failure)) => (after, failure),
            };
            // On top of what was asked for: else all who wait would return in the same instant.
            let pause = after.unwrap_or_default() + delay(tries, fastrand::f64());
            let elsewhere = after.is_some() && !self.is_last;
            if elsewhere || tries == TRIES || Instant::now() + pause >= self.first_token_by {
                return Err(Miss::Next(failure));
            }
            sleep(pause).await;
        }
    }

    /// The next key where one does not serve. Once more than there are keys, to hear of the pool why none is left; and no
    /// more often, where keys cool faster than they are presented.
    async fn try_keys(&self, passed: &mut Passed) -> Result<Q::Given, Halt> {
        for _ in 0..=self.pool.len() {
            let taken = self.pool.take(self.model, passed, Instant::now());
            let taken = taken.map_err(|exhausted| self.exhausted(exhausted))?;
            match self.begin(&taken).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => self.judge(&taken, &fault, passed)?,
            }
        }
        Err(Halt::Again(Some(Duration::ZERO), self.failure(Interruption::RateLimited, "every key is at its limit")))
    }

    async fn begin(&self, taken: &Taken) -> Result<Q::Given, Fault> {
        let Entry { wire, base_url, .. } = self.entry;
        let target = Target { wire: *wire, base_url, key: taken.key.as_ref(), model: self.model };
        self.question.put(self, &target).await
    }

    /// What a fault means for the key and for the model; nothing where the next key may do better.
    fn judge(&self, taken: &Taken, fault: &Fault, passed: &mut Passed) -> Result<(), Halt> {
        tracing::info!(model = self.full, key = taken.number(), %fault, "a provider did not answer");
        let (now, breakers) = (Instant::now(), &self.inner.breakers);
        match fault {
            Fault::Status { code: 401, .. } => {
                breakers.speaks(self.full);
                self.pool.dies(taken, now);
                Ok(())
            }
            // Also said of one request: more tokens than the credit pays for, a text that is flagged, a model that is closed.
            Fault::Status { code: 402 | 403, .. } => {
                breakers.speaks(self.full);
                self.pool.passes(taken, self.model, passed, now);
                Ok(())
            }
            Fault::Status { code: 429, retry_after, .. } => {
                breakers.speaks(self.full);
                self.pool.cools(taken, self.model, *retry_after, now);
                Ok(())
            }
            Fault::Status { code: 408 | 500.., retry_after, .. } => {
                breakers.failed(self.full, now);
                Err(Halt::Again(*retry_after, fault.failure(Interruption::ProviderFailed, self.full)))
            }
            Fault::Status { .. } | Fault::Unanswerable => {
                breakers.speaks(self.full);
                Err(Halt::Leave(Miss::Final(fault.failure(Interruption::ProviderRefused, self.full))))
            }
            Fault::Broken { .. } | Fault::Garbled => self.again(fault, Interruption::ProviderFailed),
            Fault::Truncated => self.again(fault, Interruption::Truncated),
            Fault::Slow => {
                breakers.failed(self.full, now);
                Err(Halt::Leave(Miss::Next(fault.failure(Interruption::TimedOut, self.full))))
            }
        }
    }

    fn again(&self, fault: &Fault, reason: Interruption) -> Result<(), Halt> {
        self.inner.breakers.failed(self.full, Instant::now());
        Err(Halt::Again(None, fault.failure(reason, self.full)))
    }

    fn exhausted(&self, exhausted: Exhausted) -> Halt {
        match exhausted {
            Exhausted::Cooling(until) => {
                let after = until.saturating_duration_since(Instant::now());
                let failure = self.failure(Interruption::RateLimited, "every key is at its limit");
                Halt::Again(Some(after), Failure { retry_after: Some(after), ..failure })
            }
            Exhausted::Refused => {
                Halt::Leave(Miss::Next(self.failure(Interruption::ProviderRefused, "every key is refused")))
            }
        }
    }

    fn failure(&self, reason: Interruption, what: &str) -> Failure {
        Failure::new(reason, format!("{}: {what}", self.full))
    }
}
