//! `/api/v1/sessions`: conversations, kept, named and found again.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::chat::conversation::{Changes, ConversationCommand, ConversationError, Features, Naming};
use domain::ids::{ConversationId, UserId};
use domain::values::{ConversationName, Invalid};
use projections::history::{self, Conversation, ConversationsQuery};
use serde::{Deserialize, Deserializer, Serialize};
use store::Position;

use super::pages::{Paged, next_link};
use super::positioned::{Done, MinPosition, Seen};
use super::posting::parse_session;
use super::replies;
use super::shown::ShownSession;
use crate::app::App;
use crate::commands::{ChangeConversation, ConversationsError, RequestKey, StartConversation};
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::problem::{Fields, Problem, ReplyProblem, SessionProblem};

/// A session with the version that `If-Match` asks for.
struct Versioned(i64, ShownSession);

impl From<Conversation> for Versioned {
    fn from(conversation: Conversation) -> Self {
        Self(conversation.version, conversation.into())
    }
}

/// An answer with its session's version.
pub(super) struct Tagged<T>(i64, T);

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.0)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[derive(Deserialize)]
pub(super) struct ListParameters {
    skip: Option<u32>,
    limit: Option<u32>,
    before: Option<i64>,
    favorite: Option<bool>,
    archived: Option<bool>,
    q: Option<String>,
}

const LONGEST_TEXT: usize = 200;

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    uri: Uri,
    Parameters(asked): Parameters<ListParameters>,
) -> Result<Paged<Seen<Vec<ShownSession>>>, Problem> {
    let text = asked.q.filter(|text| !text.is_empty());
    let mut fields = Fields::default();
    let is_short = text.as_ref().is_none_or(|text| text.chars().count() <= LONGEST_TEXT && !text.contains('\0'));
    fields.take("q", if is_short { Ok(()) } else { Err(Invalid::TooLong(LONGEST_TEXT)) });
    let limit = super::pages::limit(&mut fields, asked.limit);
    let Some(limit) = limit.filter(|_| fields.are_fine()) else { return Err(fields.into_problem()) };
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let query = ConversationsQuery {
        owner: caller.user,
        favourite: asked.favorite,
        archived: asked.archived,
        text,
        before: Position::new(asked.before.unwrap_or(i64::MAX)),
        skip: asked.skip.unwrap_or(0),
        limit,
    };
    let found = history::conversations(app.read_models.history.db(), &query).await?;
    let reached = found.conversations.last().map(|oldest| oldest.touched).filter(|_| found.more);
    let shown = found.conversations.into_iter().map(ShownSession::from).collect();
    Ok(Paged(reached.and_then(|touched| next_link(&uri, "before", touched)), Seen(lag, shown)))
}

#[derive(Deserialize)]
pub(super) struct CreateRequest {
    session_name: String,
    is_favorite: Option<bool>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<CreateRequest>,
) -> Result<(StatusCode, Tagged<Done<ShownSession>>), Problem> {
    let mut fields = Fields::default();
    let name = fields.take("session_name", ConversationName::try_from(request.session_name));
    if !fields.are_fine() {
        return Err(fields.into_problem());
    }
    let features = Features { name, favourite: request.is_favorite.unwrap_or(false), archived: false };
    let may_exist = key.0.is_some();
    let id = key.0.map_or_else(store::fresh_id, |name| RequestKey::of(caller.user, &name).id("session"));
    let command = StartConversation { by: caller.user, id, features, may_exist };
    let done = app.executor.execute(&command, caller.metadata.clone()).await?;
    let tagged = changed(&app, caller.user, id, done.position).await?;
    Ok((StatusCode::CREATED, tagged))
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
) -> Result<Tagged<Seen<ShownSession>>, Problem> {
    let id = parse_session(&id)?;
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let row = history::conversation(app.read_models.history.db(), caller.user, id).await?;
    let Versioned(version, session) = row.ok_or(Problem::NoSuchSession)?.into();
    Ok(Tagged(version, Seen(lag, session)))
}

#[derive(Deserialize)]
pub(super) struct ChangeRequest {
    #[serde(default)]
    session_name: Given<String>,
    is_favorite: Option<bool>,
    is_archived: Option<bool>,
}

/// A field that may be left out, which is not the same as null.
#[derive(Default)]
enum Given<T> {
    #[default]
    Absent,
    Null,
    As(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::As))
    }
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(request): Body<ChangeRequest>,
) -> Result<Tagged<Done<ShownSession>>, Problem> {
    let id = parse_session(&id)?;
    let mut fields = Fields::default();
    let name = match request.session_name {
        Given::Absent => Some(Naming::Kept),
        Given::Null => Some(Naming::TakenBack),
        Given::As(name) => fields.take("session_name", ConversationName::try_from(name)).map(Naming::To),
    };
    let Some(name) = name else { return Err(fields.into_problem()) };
    let wanted = Changes { name, favourite: request.is_favorite, archived: request.is_archived };
    let command = ConversationCommand::Change { by: caller.user, wanted };
    let change = ChangeConversation { id, command, if_version: if_version(&headers)? };
    let done = app.executor.execute(&change, caller.metadata.clone()).await?;
    changed(&app, caller.user, id, done.position).await
}

#[derive(Serialize)]
pub(super) struct Deleted {
    detail: &'static str,
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Done<Deleted>, Problem> {
    let id = parse_session(&id)?;
    let awaited = history::awaited_in(app.read_models.history.db(), caller.user, id).await?;
    let command = ConversationCommand::Delete { by: caller.user };
    let delete = ChangeConversation { id, command, if_version: if_version(&headers)? };
    let done = app.executor.execute(&delete, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    replies::ask_to_stop(&app, awaited).await;
    Ok(Done(done.position, Deleted { detail: "Session deleted" }))
}

/// The version in `If-Match`; `*` is any that there is.
fn if_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    // No session was ever in another version than those that were given out.
    version.map(Some).ok_or_else(|| SessionProblem::Changed.into())
}

pub(super) async fn changed(
    app: &App,
    user: UserId,
    id: ConversationId,
    position: Option<Position>,
) -> Result<Tagged<Done<ShownSession>>, Problem> {
    app.own_writes.note(user, position);
    let Versioned(version, session) = shown(app, user, id, position).await?.into();
    Ok(Tagged(version, Done(position, session)))
}

/// A session, once the history has come to a position.
async fn shown(
    app: &App,
    user: UserId,
    id: ConversationId,
    position: Option<Position>,
) -> Result<Conversation, Problem> {
    let model = &app.read_models.history;
    super::replying::wait_for(app, position).await?;
    history::conversation(model.db(), user, id).await?.ok_or(Problem::NoSuchSession)
}

impl From<ConversationsError> for Problem {
    fn from(error: ConversationsError) -> Self {
        match error {
            ConversationsError::KeyReused => ReplyProblem::KeyReused.into(),
            ConversationsError::Gone => SessionProblem::Gone.into(),
            ConversationsError::Changed => SessionProblem::Changed.into(),
            ConversationsError::Conversation(ConversationError::NotFound) => Self::NoSuchSession,
            ConversationsError::Conversation(ConversationError::AlreadyStarted) => {
                Self::Internal("a new conversation was not new")
            }
            ConversationsError::Store(error) => Self::Store(error),
        }
    }
}
