//! A leader's turn: follow the log, gather, ask, write down, go on.

use std::collections::HashSet;
use std::time::Duration;

use domain::chat::reply::Interruption;
use domain::ids::MessageId;
use domain::values::{Embedding, EmbeddingModel};
use futures::future::try_join_all;
use nats::Feed;
use projections::embeddings;
use store::embedders::{self, Progress};
use store::{Lease, Position};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::{Meter, Text, batches, less, said};
use super::{EmbedError, Embedder};
use crate::provider::{Unembedded, Vectors};
use crate::{Failure, Providers};

pub(super) struct Turn<'a> {
    of: &'a Embedder,
    model: &'a EmbeddingModel,
    lease: Lease,
    shutdown: &'a CancellationToken,
    progress: Progress,
    /// What the read model must have before it is asked what lacks a vector.
    reached: Position,
    meter: Meter,
}

/// How many events are read at once.
const EVENTS: usize = 500;
/// How often an idle leader looks whether it still leads.
const CHECK: Duration = Duration::from_secs(2);
/// How long the read model may lag behind before the turn ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many vectors are written at once.
const AT_ONCE: usize = 8;
/// From how many failures on a portion is only sent where a word gets through, and made smaller where it does.
const WARY: u32 = 3;
/// A text that nobody refuses: who does, takes none.
const HARMLESS: &str = "hello";

impl<'a> Turn<'a> {
    pub(super) async fn begin(
        of: &'a Embedder,
        model: &'a EmbeddingModel,
        lease: Lease,
        shutdown: &'a CancellationToken,
    ) -> Result<Self, EmbedError> {
        let progress = embedders::progress(of.log.db(), model.as_str()).await?;
        // Whoever had the lease before may have given vectors to the last.
        let reached = of.log.head().await?;
        tracing::info!(model = model.as_str(), from = progress.position.get(), "this node embeds messages");
        Ok(Self { of, model, lease, shutdown, progress, reached, meter: Meter::default() })
    }

    /// Embeds what comes, until something breaks or the lease is lost.
    pub(super) async fn follow(mut self) -> Result<(), EmbedError> {
        let mut cursor = self.progress.position;
        let mut feed = Feed::new(self.of.log.clone(), self.of.bus.tail().clone(), cursor);
        loop {
            let next = timeout(CHECK, self.shutdown.run_until_cancelled(feed.next(EVENTS))).await;
            let Ok(next) = next else {
                self.note(cursor).await?;
                self.still_leads().await?;
                continue;
            };
            let events = next.ok_or(EmbedError::PutOff)??;
            cursor = events.last().map_or(cursor, |last| last.position);
            let texts = said(&events)?;
            if !texts.is_empty() {
                self.reached = self.reached.max(cursor);
                self.embed_all(texts).await?;
                self.note(cursor).await?;
            }
        }
    }

    async fn note(&mut self, position: Position) -> Result<(), EmbedError> {
        if self.progress.position < position {
            self.progress.position = position;
            embedders::note(self.of.log.db(), self.model.as_str(), self.progress).await?;
        }
        Ok(())
    }

    async fn still_leads(&mut self) -> Result<(), EmbedError> {
        if self.lease.holds().await { Ok(()) } else { Err(EmbedError::PutOff) }
    }

    /// However often it has to be tried.
    async fn embed_all(&mut self, texts: Vec<Text>) -> Result<(), EmbedError> {
        for batch in batches(texts) {
            let mut failures = 0;
            while let Err(error) = self.embed(&batch, failures).await {
                let EmbedError::Provider(failure) = error else { return Err(error) };
                failures += 1;
                self.pause(&failure, failures).await?;
            }
        }
        Ok(())
    }

    async fn pause(&self, failure: &Failure, failures: u32) -> Result<(), EmbedError> {
        let pause = failure.retry_after.unwrap_or_default() + backoff(failures, fastrand::f64());
        let (reason, detail) = (failure.reason.as_str(), failure.detail.as_str());
        tracing::warn!(reason, detail, ?pause, "messages are not embedded");
        self.shutdown.run_until_cancelled(sleep(pause)).await.ok_or(EmbedError::PutOff)
    }

    /// Embeds those that are there and have no vector yet. What is refused is told from what is not by asking for less; so is
    /// what fails again and again, where a word gets through.
    async fn embed(&mut self, batch: &[Text], failures: u32) -> Result<(), EmbedError> {
        self.still_leads().await?;
        let is_wary = failures >= WARY;
        if is_wary {
            self.try_a_word().await?;
        }
        let mut left = vec![self.lacking(batch).await?];
        while let Some(texts) = left.pop() {
            if texts.is_empty() {
                continue;
            }
            match self.ask(texts.iter().map(|text| text.content.clone()).collect()).await? {
                Ok(vectors) => self.keep(texts, vectors).await?,
                Err(Unembedded::Failed(failure)) if !is_wary => return Err(EmbedError::Provider(failure)),
                Err(Unembedded::Failed(failure) | Unembedded::Refused(failure)) => {
                    self.try_a_word().await.map_err(|_| EmbedError::Provider(failure.clone()))?;
                    left.extend(less(texts, &failure));
                }
            }
        }
        Ok(())
    }

    /// What is paid for in vain costs less so.
    async fn try_a_word(&mut self) -> Result<(), EmbedError> {
        match self.ask(vec![HARMLESS.to_owned()]).await? {
            Ok(given) => self.is_as_before(given.dimension).await,
            Err(Unembedded::Failed(failure) | Unembedded::Refused(failure)) => Err(EmbedError::Provider(failure)),
        }
    }

    async fn lacking(&self, batch: &[Text]) -> Result<Vec<Text>, EmbedError> {
        let read_model = &self.of.embeddings;
        if !read_model.wait_for(self.reached, PATIENCE).await? {
            return Err(EmbedError::PutOff);
        }
        let ids: Vec<MessageId> = batch.iter().map(|text| text.message).collect();
        let lacking: HashSet<MessageId> = embeddings::lacking(read_model.db(), self.model.as_str(), &ids).await?;
        Ok(batch.iter().filter(|text| lacking.contains(&text.message)).cloned().collect())
    }

    async fn ask(&self, texts: Vec<String>) -> Result<Result<Vectors, Unembedded>, EmbedError> {
        let providers: &Providers = &self.of.providers;
        self.shutdown.run_until_cancelled(providers.embed(&texts)).await.ok_or(EmbedError::PutOff)
    }

    async fn keep(&mut self, texts: Vec<Text>, given: Vectors) -> Result<(), EmbedError> {
        self.is_as_before(given.dimension).await?;
        let (of, model) = (self.of, self.model);
        let price = |tokens| of.providers.cost(model.as_str(), tokens, 0);
        let usages = self.meter.usages(&texts, given.prompt_tokens, price);
        let all: Vec<_> = texts.iter().zip(given.vectors).zip(usages).collect();
        for some in all.chunks(AT_ONCE) {
            let append = some.iter().map(|((text, vector), usage)| {
                of.append(text, Embedding { model: model.clone(), vector: vector.clone() }, *usage)
            });
            let last = try_join_all(append).await?.into_iter().flatten().max();
            self.reached = self.reached.max(last.unwrap_or_default());
        }
        Ok(())
    }

    /// Vectors of different lengths can't be compared: the first one's counts.
    async fn is_as_before(&mut self, dimension: u32) -> Result<(), EmbedError> {
        match self.progress.dimension {
            None => {
                self.progress.dimension = Some(dimension);
                Ok(embedders::note(self.of.log.db(), self.model.as_str(), self.progress).await?)
            }
            Some(before) if before == dimension => Ok(()),
            Some(before) => {
                let model = self.model.as_str();
                let detail = format!("{model}: vectors of {dimension} numbers, where those before have {before}");
                let reason = Interruption::ProviderFailed;
                Err(EmbedError::Provider(Failure { reason, retry_after: None, detail }))
            }
        }
    }
}

/// From half a second on, doubled for each failure so far, and up to half of it less.
pub(super) fn backoff(failures: u32, random: f64) -> Duration {
    const LEAST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_mins(1);
    let doubled = LEAST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(MOST);
    doubled.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::backoff;

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_minute() {
        let longest: Vec<_> = (1..=9).map(|failures| backoff(failures, 0.0).as_millis()).collect();
        assert_eq!(longest, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff(3, 1.0).as_millis(), 1_000);
        assert_eq!(backoff(u32::MAX, 0.0).as_millis(), 60_000);
    }
}
