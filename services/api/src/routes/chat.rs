//! `/api/v1/chat`: posting a message, looking back, clearing.

use axum::extract::{Extension, State};
use domain::ids::{MessageId, UserId};
use projections::history::{self, Clearing, Cursor, HistoryPage, HistoryQuery, Scope};
use serde::{Deserialize, Serialize};
use store::Position;

use super::Sockets;
use super::positioned::{Done, MinPosition, Seen};
use super::posting::{PostRequest, Posted, Wanted, parse_session};
use super::replies;
use super::replying::{self, Answered};
use super::shown::ShownMessage;
use crate::app::App;
use crate::commands::{Answer, ClearHistory};
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::problem::{Problem, ReplyProblem};

pub(super) async fn post(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Extension(sockets): Extension<Sockets>,
    Body(request): Body<PostRequest>,
) -> Result<Done<Answered>, Problem> {
    let posted = request.post(&app, &caller, key, Wanted::Reply).await?;
    Ok(Done(posted.position, answer_to(&app, &caller, &sockets, posted).await?))
}

/// Waits for the reply to a message that was just posted.
pub(crate) async fn answer_to(
    app: &App,
    caller: &Caller,
    sockets: &Sockets,
    posted: Posted,
) -> Result<Answered, Problem> {
    let Posted { turn, position: _, watch } = posted;
    match &turn.answer {
        Answer::Given { text } => Ok(Answered::given(&turn, text.clone())),
        Answer::Awaited | Answer::Nothing | Answer::Repeated => {
            let answered = replying::answered(app, caller.user, turn.reply, watch);
            let answered = sockets.closing().run_until_cancelled(answered).await;
            answered.unwrap_or_else(|| Err(ReplyProblem::Pending(turn.reply).into()))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct HistoryParameters {
    limit: Option<u32>,
    before: Option<i64>,
    after: Option<i64>,
    session_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct HistoryAnswer {
    messages: Vec<ShownMessage>,
    total: u64,
    /// Goes into `before`, for the page of older messages; null where there are none.
    next: Option<String>,
}

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1_000;

impl HistoryParameters {
    fn query(self, owner: UserId) -> Result<HistoryQuery, Problem> {
        let cursor = match (self.before, self.after) {
            (None, None) => Cursor::Newest,
            (Some(before), None) => Cursor::Before(Position::new(before)),
            (None, Some(after)) => Cursor::After(Position::new(after)),
            (Some(_), Some(_)) => return Err(Problem::invalid("after", "does not go together with before")),
        };
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(Problem::invalid("limit", "must be from 1 to 1000"));
        }
        let conversation = self.session_id.as_deref().map(parse_session).transpose()?;
        let scope = conversation.map_or(Scope::All, Scope::Conversation);
        Ok(HistoryQuery { owner, scope, cursor, skip: 0, limit })
    }
}

pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(parameters): Parameters<HistoryParameters>,
) -> Result<Seen<HistoryAnswer>, Problem> {
    let query = parameters.query(caller.user)?;
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let page = history::page(app.read_models.history.db(), query).await?.ok_or(Problem::NoSuchSession)?;
    Ok(Seen(lag, page.into()))
}

impl From<HistoryPage> for HistoryAnswer {
    fn from(page: HistoryPage) -> Self {
        let first = page.messages.first().map(|message| message.position.to_string());
        let next = first.filter(|_| page.more_before);
        Self { messages: page.messages.into_iter().map(ShownMessage::from).collect(), total: page.total, next }
    }
}

#[derive(Serialize)]
pub(super) struct Cleared {
    deleted_messages: u64,
}

/// How many conversations are deleted in one append.
const CLEARED_AT_ONCE: usize = 200;

pub(super) async fn clear_history(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
) -> Result<Done<Cleared>, Problem> {
    least.await_in(&app, &app.read_models.history, caller.user).await?.none()?;
    let all = history::conversations_of(app.read_models.history.db(), caller.user).await?;
    let awaited = history::awaited_by(app.read_models.history.db(), caller.user).await?;
    let (position, deleted_messages) = clear(&app, &caller, &all, awaited).await?;
    Ok(Done(position, Cleared { deleted_messages }))
}

/// Deletes conversations; how many messages went with them, and whose replies need not be made any more.
pub(crate) async fn clear(
    app: &App,
    caller: &Caller,
    all: &[Clearing],
    awaited: Vec<MessageId>,
) -> Result<(Option<Position>, u64), Problem> {
    let (mut deleted_messages, mut position) = (0, None);
    for some in all.chunks(CLEARED_AT_ONCE) {
        let conversations = some.iter().map(|it| it.conversation).collect();
        let command = ClearHistory { by: caller.user, conversations };
        let done = app.executor.execute(&command, caller.metadata.clone()).await?;
        let deleted = some.iter().filter(|it| done.output.contains(&it.conversation));
        deleted_messages += deleted.map(|it| it.messages).sum::<u64>();
        position = done.position.or(position);
    }
    app.own_writes.note(caller.user, position);
    replies::ask_to_stop(app, awaited).await;
    Ok((position, deleted_messages))
}
