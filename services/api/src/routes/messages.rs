//! `/api/v1/messages`, `/api/v1/sessions/{id}/messages`: messages by themselves.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use domain::chat::message::{MessageCommand, MessageError, Rating};
use domain::chat::place::Speaker;
use domain::ids::MessageId;
use domain::values::{Invalid, MessageBody};
use projections::history::{self, Cursor, HistoryQuery, Scope};
use serde::Deserialize;
use store::Position;

use super::branching::{self, Place};
use super::pages::{self, Paged, next_link};
use super::positioned::{Done, MinPosition, Seen};
use super::posting::parse_session;
use super::replies::parse;
use super::shown::ShownMessage;
use super::{replies, replying};
use crate::app::App;
use crate::commands::{Answerer, ChangeMessage, ChangeMessageError, PostMessage, RequestKey, Room, TurnIds};
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::problem::{Fields, Problem, ReplyProblem};

#[derive(Deserialize)]
pub(super) struct ListParameters {
    offset: Option<u32>,
    limit: Option<u32>,
    before: Option<i64>,
    after: Option<i64>,
    branch: Option<String>,
}

impl ListParameters {
    fn cursor(&self) -> Result<Cursor, Problem> {
        match (self.before, self.after) {
            (None, None) => Ok(Cursor::Newest),
            (Some(before), None) => Ok(Cursor::Before(Position::new(before))),
            (None, Some(after)) => Ok(Cursor::After(Position::new(after))),
            (Some(_), Some(_)) => Err(Problem::invalid("after", "does not go together with before")),
        }
    }
}

/// The messages of one conversation, newest first: those of the branch that was chosen, or of all.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    uri: Uri,
    Path(id): Path<String>,
    Parameters(asked): Parameters<ListParameters>,
) -> Result<Paged<Seen<Vec<ShownMessage>>>, Problem> {
    let conversation = parse_session(&id)?;
    let scope = match asked.branch.as_deref() {
        None | Some("chosen") => Scope::Branch(conversation),
        Some("all") => Scope::Conversation(conversation),
        Some(_) => return Err(Problem::invalid("branch", "must be chosen or all")),
    };
    let mut fields = Fields::default();
    let limit = pages::limit(&mut fields, asked.limit).ok_or_else(|| fields.into_problem())?;
    let (cursor, skip) = (asked.cursor()?, asked.offset.unwrap_or(0));
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let db = app.read_models.history.db();
    let query = HistoryQuery { owner: caller.user, scope, cursor, skip, limit };
    let page = history::page(db, query).await?.ok_or(Problem::NoSuchSession)?;
    let mut siblings = history::siblings(db, &page.messages).await?;
    let next = match (cursor, page.messages.first(), page.messages.last()) {
        (Cursor::After(_), _, Some(newest)) if page.more_after => next_link(&uri, "after", newest.position),
        (Cursor::Newest | Cursor::Before(_), Some(oldest), _) if page.more_before => {
            next_link(&uri, "before", oldest.position)
        }
        (Cursor::Newest | Cursor::Before(_) | Cursor::After(_), _, _) => None,
    };
    let shown = page.messages.into_iter().rev().map(|message| ShownMessage::among(message, &mut siblings)).collect();
    Ok(Paged(next, Seen(lag, shown)))
}

/// Whose words a client says they are. What answers is called a bot in histories.
fn speaker(word: &str) -> Result<Speaker, Invalid> {
    if word == "bot" { Ok(Speaker::Assistant) } else { word.parse() }
}

#[derive(Deserialize)]
pub(super) struct AddRequest {
    content: String,
    role: Option<String>,
    parent_id: Option<String>,
    if_leaf: Option<String>,
}

/// Keeps a message as it is; nobody is asked to answer.
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body(request): Body<AddRequest>,
) -> Result<(StatusCode, Done<ShownMessage>), Problem> {
    let session = parse_session(&id)?;
    let mut fields = Fields::default();
    let body = fields.take("content", MessageBody::within(&request.content, MessageBody::MOST));
    let speaker = fields.take("role", request.role.map_or(Ok(Speaker::User), |word| speaker(&word)));
    let (Some(body), Some(speaker)) = (body, speaker) else { return Err(fields.into_problem()) };
    let if_leaf = request.if_leaf.as_deref().map(|leaf| branching::if_leaf(&app, leaf)).transpose()?;
    let place = Place { parent: request.parent_id.as_deref(), edit_of: None, session: Some(session), before: None };
    let (conversation, after) = place.find(&app, caller.user, if_leaf.as_ref()).await?;
    let room = conversation.map_or(Room::New, Room::In);
    let ids = key.0.map_or_else(TurnIds::fresh, |name| TurnIds::of(RequestKey::of(caller.user, &name)));
    let (by, answerer) = (caller.user, Answerer::Nobody);
    let command = PostMessage { by, room, after, if_leaf, earlier: Vec::new(), speaker, body, answerer, ids };
    let done = app.executor.execute(&command, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    let row = replying::row(&app, caller.user, done.output.message).await?;
    Ok((StatusCode::CREATED, Done(done.position, row.into())))
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
) -> Result<Seen<ShownMessage>, Problem> {
    let id = parse(&id)?;
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let db = app.read_models.history.db();
    let row = history::message(db, caller.user, id).await?.ok_or(ReplyProblem::NoSuchMessage)?;
    let mut siblings = history::siblings(db, std::slice::from_ref(&row)).await?;
    Ok(Seen(lag, ShownMessage::among(row, &mut siblings)))
}

/// The message as it was is the answer. What followed it stays.
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Done<ShownMessage>, Problem> {
    let id = parse(&id)?;
    let mut row = replying::row(&app, caller.user, id).await?;
    if row.state == history::State::Awaited {
        replies::stop_reply(&app, &caller, id).await?;
        row = replying::row(&app, caller.user, id).await?;
    }
    let position = execute(&app, &caller, id, MessageCommand::Delete { by: caller.user }).await?;
    Ok(Done(position, row.into()))
}

#[derive(Deserialize)]
pub(super) struct RatingRequest {
    rating: Option<String>,
}

/// `PUT /api/v1/messages/{id}/rating`: up, down, or null for neither.
pub(super) async fn rate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<RatingRequest>,
) -> Result<Done<ShownMessage>, Problem> {
    let id = parse(&id)?;
    let rating = request.rating.map_or(Ok(Rating::Unrated), |word| word.parse::<Rating>());
    let mut fields = Fields::default();
    let rating = fields.take("rating", rating.map_err(|_| Invalid::NotOneOf)).ok_or_else(|| fields.into_problem())?;
    let position = execute(&app, &caller, id, MessageCommand::Rate { by: caller.user, rating }).await?;
    Ok(Done(position, replying::row_at(&app, caller.user, id, position).await?.into()))
}

async fn execute(
    app: &App,
    caller: &Caller,
    id: MessageId,
    command: MessageCommand,
) -> Result<Option<Position>, Problem> {
    let change = ChangeMessage { by: caller.user, id, command };
    let done = app.executor.execute(&change, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    Ok(done.position)
}

impl From<ChangeMessageError> for Problem {
    fn from(error: ChangeMessageError) -> Self {
        match error {
            ChangeMessageError::Message(MessageError::NotFound) => ReplyProblem::NoSuchMessage.into(),
            ChangeMessageError::Message(MessageError::AlreadyExists | MessageError::NoReplyAwaited) => {
                Self::Internal("a message was changed into a new one")
            }
            ChangeMessageError::Store(error) => Self::Store(error),
        }
    }
}
