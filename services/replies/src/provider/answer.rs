//! An answer, piece by piece, within its limits.

use std::sync::Arc;

use domain::chat::reply::Interruption;
use tokio::time::{Instant, timeout_at};

use super::asking::Inner;
use super::attempt::{Attempt, Question};
use super::fault::Fault;
use super::vendor::{Heard, Target, Voice};
use super::{Ask, Failure, Piece};

/// What a model says. Dropping it ends the provider's connection.
pub struct Answer {
    /// Who really answers: `provider/model`.
    pub model: String,
    inner: Arc<Inner>,
    first: Option<Heard>,
    /// Gone when the answer is over, and its connection with it; then there is why.
    voice: Result<Voice, Failure>,
    bytes_left: usize,
    /// When it last gave a sign of life.
    alive_at: Instant,
    over_by: Instant,
}

impl Question for Ask {
    type Given = Answer;

    /// From the request to the first text, or to the end of an answer without any. A model that thinks has begun, and
    /// may go on for as long as one that speaks may be silent.
    async fn put(&self, attempt: &Attempt<'_, Self>, target: &Target<'_>) -> Result<Answer, Fault> {
        let Attempt { inner, full, over_by, .. } = *attempt;
        let mut voice = inner.vendor.ask(target, self);
        let mut patience = attempt.first_token_by;
        loop {
            let heard = timeout_at(patience.min(over_by), voice.next()).await.map_err(|_| Fault::Slow)?;
            match heard? {
                Heard::Thought => patience = Instant::now() + inner.limits.idle,
                heard @ (Heard::Text(_) | Heard::Done { .. }) => {
                    inner.breakers.speaks(full);
                    return Ok(Answer::begun(inner, full, voice, heard, over_by));
                }
            }
        }
    }
}

impl Answer {
    fn begun(inner: &Arc<Inner>, model: &str, voice: Voice, first: Heard, over_by: Instant) -> Self {
        Self {
            model: model.to_owned(),
            inner: Arc::clone(inner),
            first: Some(first),
            voice: Ok(voice),
            bytes_left: inner.limits.reply_bytes,
            alive_at: Instant::now(),
            over_by,
        }
    }

    /// The next piece; after the end, or after a failure, there is none. May be given up and called again: nothing is
    /// lost.
    pub async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            let heard = match self.first.take() {
                Some(heard) => heard,
                None => self.hear().await?,
            };
            match heard {
                Heard::Thought => {}
                Heard::Text(text) => return self.text(text),
                Heard::Done { usage, finish } => {
                    self.inner.breakers.succeeded(&self.model);
                    self.voice = Err(self.failure(Interruption::ProviderFailed, "asked for more after the end"));
                    return Ok(Piece::Done { usage, finish });
                }
            }
        }
    }

    async fn hear(&mut self) -> Result<Heard, Failure> {
        let by = self.over_by.min(self.alive_at + self.inner.limits.idle);
        let voice = self.voice.as_mut().map_err(|failure| failure.clone())?;
        let heard = timeout_at(by, voice.next()).await.unwrap_or(Err(Fault::Slow));
        self.alive_at = Instant::now();
        heard.map_err(|fault| {
            self.inner.breakers.failed(&self.model, self.alive_at);
            self.broken(fault.in_midstream(&self.model))
        })
    }

    /// What is too long is cut, and the next piece is the failure.
    fn text(&mut self, mut text: String) -> Result<Piece, Failure> {
        if text.len() > self.bytes_left {
            text.truncate(text.floor_char_boundary(self.bytes_left));
            let failure = self.broken(self.failure(Interruption::TooLong, "longer than a reply may be"));
            if text.is_empty() {
                return Err(failure);
            }
        }
        self.bytes_left = self.bytes_left.saturating_sub(text.len());
        Ok(Piece::Text(text))
    }

    fn broken(&mut self, failure: Failure) -> Failure {
        self.voice = Err(failure.clone());
        failure
    }

    fn failure(&self, reason: Interruption, what: &str) -> Failure {
        Failure::new(reason, format!("{}: {what}", self.model))
    }
}
