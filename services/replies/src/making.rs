//! One reply, from the claim to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Metadata;
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::reply::{Asked, Ending, Interruption, ReplyTo, Said, Usage};
use domain::ids::MessageId;
use nats::BusError;
use projections::history;
use store::{Command, StoreError, Unit, fresh_id, in_full};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::context::{tokens, told};
use crate::live::Author;
use crate::{Ask, Failure, Piece, Replier, TokensUsed, metrics};

#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The history lags behind, or this process is about to stop.
    #[error("it is put off")]
    PutOff,
}

/// What tells a reply to end before its end.
#[derive(Debug, Clone)]
pub(crate) struct Halt {
    /// Somebody asked it to.
    pub(crate) stop: CancellationToken,
    /// This process is about to end.
    pub(crate) leave: CancellationToken,
}

/// A reply that is being made.
struct Making<'a> {
    of: &'a Replier,
    id: MessageId,
    reply: ReplyTo,
    asked: Asked,
    author: Author,
}

impl Replier {
    /// Makes a reply, unless it has ended already; whoever had it before may have said something. Whether there was one to make.
    pub(crate) async fn make(&self, id: MessageId, is_again: bool, halt: &Halt) -> Result<bool, MakeError> {
        let Message::Awaited { reply, asked } = self.executor.look::<Message>(id).await? else { return Ok(false) };
        let making = Making { of: self, id, reply, asked, author: self.live.author(id) };
        making.make(is_again, halt).await.map(|()| true)
    }
}

/// An answer that has begun, and about how many tokens were asked.
type Begun = (crate::Answer, u32);

impl Making<'_> {
    async fn make(mut self, is_again: bool, halt: &Halt) -> Result<(), MakeError> {
        let mut before = self.author.text();
        if is_again {
            // Whichever is longer: this process may have heard but a part.
            let said = self.of.bus.said(self.id).await?;
            before = if said.len() > before.len() { said } else { before };
        }
        if !before.is_empty() {
            return self.end(before, interrupted(Interruption::NodeLost, None), None).await;
        }
        let answer = tokio::select! {
            biased;
            () = halt.stop.cancelled() => None,
            () = halt.leave.cancelled() => return Err(MakeError::PutOff),
            answer = self.ask() => answer?,
        };
        match answer {
            None => self.end(String::new(), Ending::Stopped, None).await,
            Some(Err(failure)) => self.fail(failure).await,
            Some(Ok((answer, prompt))) => self.listen(answer, prompt, halt).await,
        }
    }

    /// Asks the provider when it is this reply's turn; nobody where nobody could read it any more.
    async fn ask(&self) -> Result<Option<Result<Begun, Failure>>, MakeError> {
        let Some(last) = self.turn().await? else { return Ok(None) };
        let turns = self.of.context.of(self.of.history.db(), last).await?;
        let prompt = told(&turns);
        let asked = &self.asked;
        #[expect(clippy::cast_possible_truncation, reason = "a temperature has few digits")]
        let temperature = asked.temperature.map(|it| it.get() as f32);
        let max_tokens = asked.max_tokens.map(domain::values::MaxTokens::get);
        let ask = Ask { model: asked.model.clone(), turns, max_tokens, temperature };
        let begun = Instant::now();
        let answer = self.of.providers.ask(ask).await;
        if let Ok(answer) = &answer {
            metrics::begun(&self.of.providers, &answer.model, begun.elapsed());
        }
        Ok(Some(answer.map(|answer| (answer, prompt))))
    }

    /// Waits for the replies to what was said before. The message that is to be answered; `None` where it was deleted since.
    async fn turn(&self) -> Result<Option<history::Message>, MakeError> {
        let (history, log) = (&self.of.history, &self.of.log);
        let mut reached = log.began::<Message>(self.id).await?.ok_or(MakeError::PutOff)?;
        loop {
            if !history.wait_for(reached, PATIENCE).await? {
                return Err(MakeError::PutOff);
            }
            let Some(row) = history::message(history.db(), self.reply.owner, self.id).await? else { return Ok(None) };
            let earlier = history::awaited_above(history.db(), &row).await?;
            let Some(earlier) = earlier else {
                return Ok(history::message(history.db(), self.reply.owner, self.reply.to).await?);
            };
            let mut watch = self.of.live.watch_end(earlier);
            // It may have ended before it was watched.
            let is_awaited = matches!(self.of.executor.look::<Message>(earlier).await?, Message::Awaited { .. });
            let ended = if is_awaited { watch.end().await.position } else { None };
            reached = match ended {
                Some(position) => position,
                None => log.head().await?,
            };
        }
    }

    async fn listen(&mut self, mut answer: crate::Answer, prompt: u32, halt: &Halt) -> Result<(), MakeError> {
        let model = answer.model.clone();
        let (ending, used) = loop {
            let piece = tokio::select! {
                biased;
                () = halt.stop.cancelled() => break (Ending::Stopped, None),
                () = halt.leave.cancelled() => break (interrupted(Interruption::NodeLost, None), None),
                piece = answer.next() => piece,
            };
            match piece {
                // No text in a database has the character NUL.
                Ok(Piece::Text(text)) => self.author.say(text.replace('\0', "")),
                Ok(Piece::Done { usage, finish }) => break (Ending::Completed { finish }, usage),
                Err(failure) => {
                    tracing::warn!(reply = %self.id, reason = %failure.reason, detail = failure.detail, "a reply broke off");
                    break (interrupted(failure.reason, None), None);
                }
            }
        };
        // The provider's connection goes with it, before anything else is done.
        drop(answer);
        self.end(self.author.text(), ending, Some(Spent { model, prompt, used })).await
    }

    async fn fail(&self, failure: Failure) -> Result<(), MakeError> {
        tracing::warn!(reply = %self.id, reason = %failure.reason, detail = failure.detail, "a reply was not begun");
        let retry_after =
            failure.retry_after.map(|it| u32::try_from(it.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX));
        self.end(String::new(), interrupted(failure.reason, retry_after), None).await
    }

    /// Appends how it ended; who comes second has nothing to say any more.
    async fn end(&self, text: String, ending: Ending, spent: Option<Spent>) -> Result<(), MakeError> {
        let said = spent.map_or_else(|| self.unspent(text.clone()), |spent| self.said(text.clone(), spent));
        let metadata = Metadata {
            request_id: fresh_id::<Uuid>().to_string(),
            user: Some(self.reply.owner),
            node: Some(self.of.node.clone()),
            ..Metadata::default()
        };
        let end = Arc::new(EndReply { id: self.id, said, ending });
        loop {
            match self.write(end.clone(), metadata.clone()).await {
                Err(MakeError::Message(MessageError::NoReplyAwaited)) => return Ok(()),
                // What was said would be lost; the claim is kept meanwhile.
                Err(MakeError::Store(error)) if error.is_passing() => {
                    tracing::warn!(reply = %self.id, cause = in_full(&error), "a reply's end can't be written yet");
                    tokio::time::sleep(RETRY).await;
                }
                other => return other,
            }
        }
    }

    /// By itself: who sees the end in the log, and drops this reply, may be faster than the answer that it was written.
    async fn write(&self, end: Arc<EndReply>, metadata: Metadata) -> Result<(), MakeError> {
        let (executor, providers) = (self.of.executor.clone(), self.of.providers.clone());
        let writing = async move {
            executor.execute(&*end, metadata).await?;
            metrics::ended(&providers, &end.said.model, &end.ending);
            Ok(())
        };
        tokio::spawn(writing.in_current_span()).await.unwrap_or(Err(MakeError::PutOff))
    }

    /// What is known of a reply whose provider is out of reach, or never was reached.
    fn unspent(&self, text: String) -> Said {
        let usage = Usage { completion_tokens: tokens(&text), estimated: !text.is_empty(), ..Usage::default() };
        Said { text, model: self.asked.model.clone(), usage }
    }

    fn said(&self, text: String, spent: Spent) -> Said {
        let Spent { model, prompt, used } = spent;
        let estimate = || TokensUsed { prompt, completion: tokens(&text) };
        let (estimated, TokensUsed { prompt, completion }) = (used.is_none(), used.unwrap_or_else(estimate));
        let cost_micros = self.of.providers.cost(&model, prompt, completion);
        let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, estimated, cost_micros };
        Said { text, model, usage }
    }
}

/// What an answer took of its provider.
struct Spent {
    model: String,
    /// As estimated.
    prompt: u32,
    used: Option<TokensUsed>,
}

const fn interrupted(reason: Interruption, retry_after_seconds: Option<u32>) -> Ending {
    Ending::Interrupted { reason, retry_after_seconds }
}

/// How long to wait before an end that could not be written is written again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the history may lag behind before a reply is put off.
const PATIENCE: Duration = Duration::from_secs(5);

/// `EndReply` → `ReplyCompleted`, `ReplyStopped` or `ReplyInterrupted`.
struct EndReply {
    id: MessageId,
    said: Said,
    ending: Ending,
}

impl Command for EndReply {
    const NAME: &'static str = "end_reply";
    type Output = ();
    type Error = MakeError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), MakeError> {
        let end = MessageCommand::EndReply { said: self.said.clone(), ending: self.ending };
        unit.load::<Message>(self.id).await?.decide(end)?;
        Ok(())
    }
}
