//! `/api/v1/chat`: posting a message, looking back, clearing.

use axum::extract::State;
use domain::chat::conversation::ConversationError;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use projections::history::{self, Cursor, HistoryPage, HistoryQuery, Message};
use serde::{Deserialize, Serialize};
use store::Position;

use super::positioned::{Done, MinPosition, Seen};
use crate::app::App;
use crate::commands::{ClearHistory, PostError, PostMessage, Turn};
use crate::extract::{Body, Caller, Parameters};
use crate::problem::{FieldError, Fields, Problem};
use crate::time::Time;

/// The longest message on this path.
const LONGEST_MESSAGE: usize = 4_096;

#[derive(Deserialize)]
pub(super) struct PostRequest {
    message: String,
    session_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Posted {
    response: String,
    message_id: MessageId,
    user_message_id: MessageId,
    session_id: ConversationId,
    model: String,
    usage: Usage,
    created_at: Time,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that clients know")]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

pub(super) async fn post(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<PostRequest>,
) -> Result<Done<Posted>, Problem> {
    let mut fields = Fields::default();
    let body = fields.take("message", MessageBody::within(&request.message, LONGEST_MESSAGE));
    let Some(body) = body else { return Err(fields.into_problem()) };
    let conversation = request.session_id.as_deref().map(parse_session).transpose()?;
    let command = PostMessage { by: caller.user, conversation, body };
    let done = app.executor.execute(&command, caller.metadata).await?;
    app.own_writes.note(caller.user, done.position);
    Ok(Done(done.position, done.output.into()))
}

/// What is no id is nobody's session.
fn parse_session(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| Problem::NoSuchSession)
}

impl From<Turn> for Posted {
    fn from(turn: Turn) -> Self {
        let usage = Usage {
            prompt_tokens: turn.usage.prompt_tokens,
            completion_tokens: turn.usage.completion_tokens,
            total_tokens: turn.usage.prompt_tokens.saturating_add(turn.usage.completion_tokens),
        };
        Self {
            response: turn.text,
            message_id: turn.reply,
            user_message_id: turn.message,
            session_id: turn.conversation,
            model: turn.model,
            usage,
            created_at: Time(turn.at),
        }
    }
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Conversation(ConversationError::NotFound) => Self::NoSuchSession,
            PostError::Conversation(ConversationError::AlreadyStarted) | PostError::Message(_) => {
                Self::Internal("a new stream was not new")
            }
            PostError::Store(error) => Self::Store(error),
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

#[derive(Serialize)]
struct ShownMessage {
    id: MessageId,
    session_id: ConversationId,
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    timestamp: Time,
}

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1_000;

impl HistoryParameters {
    fn query(self, owner: UserId) -> Result<HistoryQuery, Problem> {
        let invalid =
            |field, message: &str| Err(Problem::Invalid(vec![FieldError { field, message: message.to_owned() }]));
        let cursor = match (self.before, self.after) {
            (None, None) => Cursor::Newest,
            (Some(before), None) => Cursor::Before(Position::new(before)),
            (None, Some(after)) => Cursor::After(Position::new(after)),
            (Some(_), Some(_)) => return invalid("after", "does not go together with before"),
        };
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return invalid("limit", "must be from 1 to 1000");
        }
        let conversation = self.session_id.as_deref().map(parse_session).transpose()?;
        Ok(HistoryQuery { owner, conversation, cursor, limit })
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

impl From<Message> for ShownMessage {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            session_id: message.conversation,
            role: message.role.as_str(),
            content: message.content,
            model: message.model,
            timestamp: Time(message.created_at),
        }
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
    Ok(Done(position, Cleared { deleted_messages }))
}
