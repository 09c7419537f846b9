//! `/api/v1/messages`, `/api/v1/chat/tasks`, `/api/v1/models`: replies as they stand, stopped, asked for again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::ids::{ConversationId, MessageId};
use futures::future::join_all;
use projections::history::{self, State as Stage};
use replies::ModelShown;
use serde::{Deserialize, Serialize};
use store::Position;

use super::positioned::{Done, MinPosition, Seen};
use super::posting::{self, PostRequest, Posted, Wanted};
use super::replying::{self, Answered, ShownUsage, Standing, interruption};
use crate::app::App;
use crate::commands::{Answer, RetryError, RetryReply, StopReply};
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::problem::{FieldError, Problem, ReplyProblem};
use crate::time::Time;

/// A message as it stands.
#[derive(Serialize)]
pub(super) struct ShownReply {
    id: MessageId,
    session_id: ConversationId,
    role: &'static str,
    content: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_message_id: Option<MessageId>,
    usage: ShownUsage,
    timestamp: Time,
}

impl From<history::Message> for ShownReply {
    fn from(message: history::Message) -> Self {
        Self {
            id: message.id,
            session_id: message.conversation,
            role: message.role.as_str(),
            content: message.content,
            status: message.state.as_str(),
            reason: message.reason,
            model: message.model,
            user_message_id: message.answers,
            usage: message.usage.into(),
            timestamp: Time(message.created_at),
        }
    }
}

fn parse(id: &str) -> Result<MessageId, Problem> {
    id.parse().map_err(|_| ReplyProblem::NoSuchMessage.into())
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
) -> Result<Seen<ShownReply>, Problem> {
    let id = parse(&id)?;
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let row = history::message(app.read_models.history.db(), caller.user, id).await?;
    Ok(Seen(lag, row.ok_or(ReplyProblem::NoSuchMessage)?.into()))
}

/// Stops a reply wherever it is made; one that has ended stays as it is.
pub(super) async fn stop(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownReply>, Problem> {
    let id = parse(&id)?;
    stop_reply(&app, &caller, id).await?;
    Ok(Json(replying::row(&app, caller.user, id).await?.into()))
}

/// How long whoever makes a reply may take to end it, before it is ended without them.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) async fn stop_reply(app: &App, caller: &Caller, id: MessageId) -> Result<(), Problem> {
    let mut watch = app.live.watch(id);
    let (_, standing) = replying::of_owner(app, caller.user, id).await?;
    if standing == Standing::Ended {
        return Ok(());
    }
    if let Err(error) = app.bus.ask_to_stop(id).await {
        tracing::debug!(cause = store::in_full(&error), "nobody hears that a reply is to stop");
    }
    if tokio::time::timeout(PATIENCE, watch.end()).await.is_err() {
        let heard = watch.heard();
        app.executor.execute(&StopReply { reply: id, heard }, caller.metadata.clone()).await?;
    }
    Ok(())
}

/// A reply as a task that goes on in the background; its id is the reply's.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that clients know")]
pub(super) struct Task {
    task_id: MessageId,
    status: &'static str,
    result: Option<Answered>,
    error: Option<TaskError>,
    session_id: ConversationId,
    created_at: Time,
}

#[derive(Serialize)]
struct TaskError {
    code: &'static str,
    retryable: bool,
    /// What there is of the reply.
    text: String,
}

impl Task {
    async fn of(app: &App, row: history::Message) -> Self {
        let (task_id, session_id, created_at) = (row.id, row.conversation, Time(row.created_at));
        let status = match row.state {
            Stage::Awaited if app.live.has_begun(row.id).await => "processing",
            Stage::Awaited => "pending",
            Stage::Done => "completed",
            Stage::Stopped | Stage::Interrupted => "failed",
        };
        let error = match (row.state, interruption(&row)) {
            (Stage::Stopped, _) => Some(("stopped", true)),
            (_, Some(reason)) => Some((reason.as_str(), reason.is_retryable())),
            (Stage::Done | Stage::Awaited | Stage::Interrupted, None) => None,
        };
        let error = error.map(|(code, retryable)| TaskError { code, retryable, text: row.content.clone() });
        let result = (row.state == Stage::Done).then(|| Answered::of(row));
        Self { task_id, status, result, error, session_id, created_at }
    }
}

/// `POST /api/v1/chat/background`.
pub(super) async fn begin_task(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<PostRequest>,
) -> Result<Done<Task>, Problem> {
    let Posted { turn, position, .. } = request.post(&app, &caller, key, Wanted::Nothing).await?;
    if turn.answer == Answer::Repeated {
        return Ok(Done(position, Task::of(&app, replying::row(&app, caller.user, turn.reply).await?).await));
    }
    let (task_id, session_id, created_at) = (turn.reply, turn.conversation, Time(turn.at));
    let task = Task { task_id, status: "pending", result: None, error: None, session_id, created_at };
    Ok(Done(position, task))
}

pub(super) async fn task(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
) -> Result<Seen<Task>, Problem> {
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    Ok(Seen(lag, Task::of(&app, task_row(&app, &caller, &id).await?).await))
}

async fn task_row(app: &App, caller: &Caller, id: &str) -> Result<history::Message, Problem> {
    let id = id.parse().map_err(|_| ReplyProblem::NoSuchTask)?;
    let row = history::message(app.read_models.history.db(), caller.user, id).await?;
    row.filter(|row| row.answers.is_some()).ok_or(ReplyProblem::NoSuchTask.into())
}

#[derive(Deserialize)]
pub(super) struct Paged {
    limit: Option<u32>,
    before: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Tasks {
    items: Vec<Task>,
    /// Goes into `before`, for older ones; null where there are none.
    next: Option<String>,
}

const DEFAULT_PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

pub(super) async fn tasks(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(paged): Parameters<Paged>,
) -> Result<Seen<Tasks>, Problem> {
    let limit = paged.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("must be from 1 to {LARGEST_PAGE}");
        return Err(Problem::Invalid(vec![FieldError { field: "limit", message }]));
    }
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let before = Position::new(paged.before.unwrap_or(i64::MAX));
    let db = app.read_models.history.db();
    let mut rows = history::replies_of(db, caller.user, before, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().map(|row| row.position.to_string()).filter(|_| more);
    let items = join_all(rows.into_iter().map(|row| Task::of(&app, row))).await;
    Ok(Seen(lag, Tasks { items, next }))
}

/// `POST /api/v1/chat/tasks/{id}/cancel`.
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Task>, Problem> {
    let id = id.parse().map_err(|_| ReplyProblem::NoSuchTask)?;
    stop_reply(&app, &caller, id).await.map_err(as_task)?;
    let row = replying::row(&app, caller.user, id).await.map_err(as_task)?;
    Ok(Json(Task::of(&app, row).await))
}

fn as_task(problem: Problem) -> Problem {
    let is_unknown = matches!(problem, Problem::Reply(ReplyProblem::NoSuchMessage));
    if is_unknown { ReplyProblem::NoSuchTask.into() } else { problem }
}

/// `POST /api/v1/chat/tasks/{id}/retry`: a new reply to the same message; what there was of the old one stays.
pub(super) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Done<Task>), Problem> {
    let id: MessageId = id.parse().map_err(|_| ReplyProblem::NoSuchTask)?;
    replying::of_owner(&app, caller.user, id).await.map_err(as_task)?;
    let row = replying::row(&app, caller.user, id).await.map_err(as_task)?;
    match row.state {
        Stage::Stopped | Stage::Interrupted => {}
        Stage::Done => return Err(ReplyProblem::IsComplete.into()),
        Stage::Awaited => return Err(ReplyProblem::IsRunning.into()),
    }
    let done = app.executor.execute(&RetryReply { by: caller.user, reply: id }, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    posting::offer(&app, done.output);
    let row = replying::row(&app, caller.user, done.output).await?;
    Ok((StatusCode::CREATED, Done(done.position, Task::of(&app, row).await)))
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NothingToRetry => ReplyProblem::IsComplete.into(),
            RetryError::Conversation(_) => Self::NoSuchSession,
            RetryError::Message(_) => Self::Internal("a new reply was not new"),
            RetryError::Store(error) => Self::Store(error),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Models {
    items: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    provider: String,
}

pub(super) async fn models(State(app): State<App>, _caller: Caller) -> Json<Models> {
    let shown = |ModelShown { id, provider }| Model { id, provider };
    Json(Models { items: app.providers.models().into_iter().map(shown).collect() })
}
