//! `/api/v1/chat/tasks`, `/api/v1/models`: replies as they stand, stopped, asked for again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::chat::message::MessageError;
use domain::chat::reply::Ending;
use domain::ids::{ConversationId, MessageId};
use futures::future::join_all;
use projections::history::{self, State as Stage};
use replies::ModelShown;
use serde::{Deserialize, Serialize};
use store::Position;

use super::positioned::{Done, MinPosition, Seen};
use super::posting::{self, PostRequest, Posted, Wanted};
use super::replying::{self, Answered, Standing, interruption};
use super::shown::ShownMessage;
use crate::app::App;
use crate::commands::{Answer, AskAgain, AskAgainError, StopReply};
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::limits::go_on;
use crate::problem::{Problem, ReplyProblem, SessionProblem};
use crate::reckoning;
use crate::time::Time;

pub(super) fn parse(id: &str) -> Result<MessageId, Problem> {
    id.parse().map_err(|_| ReplyProblem::NoSuchMessage.into())
}

/// Stops a reply wherever it is made; one that has ended stays as it is.
pub(super) async fn stop(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownMessage>, Problem> {
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
        let stopped = app.executor.execute(&StopReply { reply: id, heard }, caller.metadata.clone()).await?;
        if let Some(model) = stopped.output {
            replies::metrics::ended(&app.providers, &model, &Ending::Stopped);
        }
        app.bus.forget(id);
    }
    Ok(())
}

/// What nobody can read any more need not be made.
pub(super) async fn ask_to_stop(app: &App, awaited: Vec<MessageId>) {
    for reply in awaited {
        if let Err(error) = app.bus.ask_to_stop(reply).await {
            tracing::debug!(cause = store::in_full(&error), "nobody hears that a reply is to stop");
        }
    }
}

/// A reply as a task that goes on in the background; its id is the reply's.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that clients know")]
pub(crate) struct Task {
    pub(crate) task_id: MessageId,
    pub(crate) status: &'static str,
    pub(crate) result: Option<Answered>,
    pub(crate) error: Option<TaskError>,
    session_id: ConversationId,
    /// What it answers.
    user_message_id: Option<MessageId>,
    created_at: Time,
}

#[derive(Serialize)]
pub(crate) struct TaskError {
    pub(crate) code: &'static str,
    retryable: bool,
    /// What there is of the reply.
    text: String,
}

impl Task {
    pub(super) async fn of(app: &App, row: history::Message) -> Self {
        let (task_id, session_id, user_message_id) = (row.id, row.conversation, row.answers);
        let created_at = Time(row.created_at);
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
        Self { task_id, status, result, error, session_id, user_message_id, created_at }
    }
}

/// `POST /api/v1/chat/background`.
pub(super) async fn begin_task(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<PostRequest>,
) -> Result<Done<Task>, Problem> {
    begin(&app, &caller, key, request).await
}

/// Posts a message whose reply nobody waits for.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    key: IdempotencyKey,
    request: PostRequest,
) -> Result<Done<Task>, Problem> {
    let Posted { turn, position, .. } = request.post(app, caller, key, Wanted::Nothing).await?;
    if turn.answer == Answer::Repeated {
        return Ok(Done(position, Task::of(app, replying::row(app, caller.user, turn.reply).await?).await));
    }
    let (task_id, session_id, created_at) = (turn.reply, turn.conversation, Time(turn.at));
    let user_message_id = Some(turn.message);
    let task = Task { task_id, status: "pending", result: None, error: None, session_id, user_message_id, created_at };
    Ok(Done(position, task))
}

pub(crate) async fn task(
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
        return Err(Problem::invalid("limit", format!("must be from 1 to {LARGEST_PAGE}")));
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
    let again = AskAgain { by: caller.user, reply: id, id: AskAgain::retry_of(id), answerer: None, if_leaf: None };
    ask_again(&app, &caller, again).await
}

/// Asks once more for a reply, as a task of its own.
pub(super) async fn ask_again(
    app: &App,
    caller: &Caller,
    again: AskAgain,
) -> Result<(StatusCode, Done<Task>), Problem> {
    let id = again.id;
    let asking = execute(app.clone(), caller.clone(), again);
    let position = go_on(asking).await.unwrap_or(Err(Problem::Internal("a reply was not asked for")))?;
    let row = replying::row(app, caller.user, id).await?;
    Ok((StatusCode::CREATED, Done(position, Task::of(app, row).await)))
}

/// Whoever goes meanwhile leaves nothing half done.
async fn execute(app: App, caller: Caller, again: AskAgain) -> Result<Option<Position>, Problem> {
    let asks = reckoning::of_another(&app, &again).await?;
    let done = app.execute_turn(&caller, &again, asks, Some(again.id)).await?;
    app.own_writes.note(caller.user, done.position);
    if !done.output {
        posting::offer(&app, again.id);
    } else if done.position.is_some() {
        replies::metrics::given(&app.providers);
    }
    Ok(done.position)
}

impl From<AskAgainError> for Problem {
    fn from(error: AskAgainError) -> Self {
        match error {
            AskAgainError::NothingToRepeat => SessionProblem::NothingToRepeat.into(),
            AskAgainError::KeyReused => ReplyProblem::KeyReused.into(),
            AskAgainError::Gone => SessionProblem::Gone.into(),
            AskAgainError::Message(MessageError::NotFound) => ReplyProblem::NoSuchMessage.into(),
            AskAgainError::Message(MessageError::AlreadyExists | MessageError::NoReplyAwaited) => {
                Self::Internal("a new reply was not new")
            }
            AskAgainError::Branch(error) => error.into(),
            AskAgainError::Store(error) => Self::Store(error),
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
