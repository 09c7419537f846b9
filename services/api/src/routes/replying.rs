//! A reply as its owner sees it: waited for, or as it stands.

use std::time::Duration;

use domain::chat::message::Message;
use domain::chat::reply::{Ending, FinishReason, Interruption, ReplyTo, Said, Usage};
use domain::chat::rules;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::history::{self, State};
use replies::{Ended, Watch};
use serde::Serialize;
use store::Position;

use crate::app::App;
use crate::commands::Turn;
use crate::problem::{Problem, ReplyProblem};
use crate::time::Time;

/// A whole reply.
#[derive(Serialize)]
pub(crate) struct Answered {
    pub(crate) response: String,
    pub(crate) message_id: MessageId,
    user_message_id: Option<MessageId>,
    pub(crate) session_id: ConversationId,
    pub(crate) model: String,
    pub(crate) usage: ShownUsage,
    pub(crate) finish_reason: String,
    pub(crate) created_at: Time,
}

#[derive(Serialize)]
pub(crate) struct ShownUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
    pub(crate) total_tokens: u32,
    /// The provider did not count: it was estimated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

impl From<Usage> for ShownUsage {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens, estimated, cost_micros: _ } = usage;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            estimated,
        }
    }
}

/// What says that a reply was stopped, where a model's own word would stand.
const STOPPED: &str = "stopped";
/// How long a request waits for a whole reply: longer than any provider may take.
const LONGEST: Duration = Duration::from_mins(15);
/// How long the history may take to show what the log has.
const PATIENCE: Duration = Duration::from_secs(5);

impl Answered {
    /// What the rule bot answers with the post itself.
    pub(super) fn given(turn: &Turn, response: String) -> Self {
        Self {
            response,
            message_id: turn.reply,
            user_message_id: Some(turn.message),
            session_id: turn.conversation,
            model: rules::MODEL.to_owned(),
            usage: Usage::default().into(),
            finish_reason: FinishReason::Stop.as_str().to_owned(),
            created_at: Time(turn.at),
        }
    }

    pub(super) fn of(reply: history::Message) -> Self {
        let finish = if reply.state == State::Stopped { Some(STOPPED.to_owned()) } else { reply.reason };
        Self {
            response: reply.content,
            message_id: reply.id,
            user_message_id: reply.answers,
            session_id: reply.conversation,
            model: reply.model.unwrap_or_default(),
            usage: reply.usage.into(),
            finish_reason: finish.unwrap_or_else(|| FinishReason::Stop.as_str().to_owned()),
            created_at: Time(reply.created_at),
        }
    }
}

/// Waits for a reply's end.
pub(super) async fn answered(
    app: &App,
    owner: UserId,
    reply: MessageId,
    watch: Option<Watch>,
) -> Result<Answered, Problem> {
    let mut watch = watch.unwrap_or_else(|| app.live.watch(reply));
    let (_, state) = of_owner(app, owner, reply).await?;
    let mut position = None;
    if state == Standing::Awaited {
        let ended = tokio::time::timeout(LONGEST, watch.end()).await.map_err(|_| ReplyProblem::Pending(reply))?;
        if let Ending::Interrupted { reason, retry_after_seconds } = ended.ending {
            return Err(ReplyProblem::Failed { reply, reason, retry_after: retry_after_seconds }.into());
        }
        position = ended.position;
    }
    app.own_writes.note(owner, position);
    let row = row_at(app, owner, reply, position).await?;
    match interruption(&row) {
        Some(reason) => Err(ReplyProblem::Failed { reply, reason, retry_after: None }.into()),
        None => Ok(Answered::of(row)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Awaited,
    Ended,
}

/// A reply of somebody's, as the log has it; others' are as good as none.
pub(super) async fn of_owner(app: &App, owner: UserId, id: MessageId) -> Result<(ReplyTo, Standing), Problem> {
    let (reply, standing) = match app.executor.look::<Message>(id).await? {
        Message::Awaited { reply, .. } => (reply, Standing::Awaited),
        Message::Replied { reply, .. } => (reply, Standing::Ended),
        Message::Unknown | Message::Posted { .. } | Message::Deleted => return Err(ReplyProblem::NoSuchMessage.into()),
    };
    if reply.owner == owner { Ok((reply, standing)) } else { Err(ReplyProblem::NoSuchMessage.into()) }
}

/// A message as the history shows it, once that has all that stands in the log now.
pub(super) async fn row(app: &App, owner: UserId, id: MessageId) -> Result<history::Message, Problem> {
    row_at(app, owner, id, None).await
}

/// The same, once the history has come to a position, where one is known.
pub(super) async fn row_at(
    app: &App,
    owner: UserId,
    id: MessageId,
    position: Option<Position>,
) -> Result<history::Message, Problem> {
    wait_for(app, position).await?;
    Ok(history::message(app.read_models.history.db(), owner, id).await?.ok_or(ReplyProblem::NoSuchMessage)?)
}

/// Waits until the history has come to a position, or to the log's end where none is known.
pub(super) async fn wait_for(app: &App, position: Option<Position>) -> Result<(), Problem> {
    let position = match position {
        Some(position) => position,
        None => app.log.head().await?,
    };
    if app.read_models.history.wait_for(position, PATIENCE).await? { Ok(()) } else { Err(Problem::Lagging) }
}

/// Begins to watch a reply, from wherever it stands.
pub(super) async fn watch(app: &App, owner: UserId, id: MessageId) -> Result<(ReplyTo, Watch), Problem> {
    // It is watched before it is looked at: what ends between is not missed.
    let watch = app.live.watch(id);
    let (reply, standing) = of_owner(app, owner, id).await?;
    match standing {
        Standing::Awaited => Ok((reply, watch)),
        Standing::Ended => Ok((reply, Watch::of_ended(ended(row(app, owner, id).await?)))),
    }
}

/// How a reply ended, as the history has it.
fn ended(row: history::Message) -> Ended {
    let ending = match (row.state, interruption(&row)) {
        (State::Stopped, _) => Ending::Stopped,
        (_, Some(reason)) => Ending::Interrupted { reason, retry_after_seconds: None },
        (State::Done | State::Awaited | State::Interrupted, None) => {
            let finish = row.reason.as_deref().and_then(|word| word.parse().ok()).unwrap_or_default();
            Ending::Completed { finish }
        }
    };
    let said = Said { text: row.content, model: row.model.unwrap_or_default(), usage: row.usage };
    Ended { ending, said, position: None }
}

pub(super) fn interruption(row: &history::Message) -> Option<Interruption> {
    let word = row.reason.as_deref().filter(|_| row.state == State::Interrupted)?;
    word.parse().ok()
}

/// The rule bot's reply, for whoever watches it all the same.
pub(super) fn given(text: String) -> Watch {
    let said = Said { text, model: rules::MODEL.to_owned(), usage: Usage::default() };
    Watch::of_ended(Ended { ending: Ending::Completed { finish: FinishReason::Stop }, said, position: None })
}

/// How a stopped reply is called where a reason is shown.
pub(super) const fn finish_of(ended: &Ended) -> Option<&'static str> {
    match ended.ending {
        Ending::Completed { finish } => Some(finish.as_str()),
        Ending::Stopped => Some(STOPPED),
        Ending::Interrupted { .. } => None,
    }
}
