//! Where in a conversation's tree a message is to stand, and `/branch`: which branch goes on.

use ::replies::Choice;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::chat::conversation::ConversationError;
use domain::chat::message::{Message, MessageError};
use domain::chat::place::After;
use domain::ids::{ConversationId, MessageId, UserId};
use serde::Deserialize;

use super::positioned::Done;
use super::posting::{MAX_TOKENS, ModelRequest, PostRequest, Posted, Wanted, parse_session};
use super::replies::{self, Task};
use super::replying;
use super::sessions::{self, Tagged};
use super::shown::ShownSession;
use crate::app::App;
use crate::commands::{Answerer, AskAgain, BranchError, ChooseBranch, IfLeaf, RequestKey};
use crate::extract::{Body, Caller, IdempotencyKey};
use crate::problem::{Fields, Problem, ReplyProblem, SessionProblem};

/// What a post says of its place.
pub(super) struct Place<'a> {
    pub(super) parent: Option<&'a str>,
    pub(super) edit_of: Option<&'a str>,
    pub(super) session: Option<ConversationId>,
    /// Under which id the same request may have posted it before.
    pub(super) before: Option<MessageId>,
}

impl Place<'_> {
    /// In which conversation, after what.
    pub(super) async fn find(
        self,
        app: &App,
        user: UserId,
        if_leaf: Option<&IfLeaf>,
    ) -> Result<(Option<ConversationId>, After), Problem> {
        match (self.edit_of, self.parent) {
            (None, None) => Ok((self.session, if_leaf.map_or(After::Latest, |expected| After::Message(expected.leaf)))),
            (None, Some(parent)) => {
                let parent = parent.parse().map_err(|_| SessionProblem::NoSuchParent)?;
                Ok((self.session, After::Message(parent)))
            }
            (Some(edited), None) => {
                if let Some(id) = self.before
                    && let Some(place) = posted(app, id).await?
                {
                    return Ok(place);
                }
                let row = replying::row(app, user, replies::parse(edited)?).await?;
                if self.session.is_some_and(|session| session != row.conversation) {
                    return Err(ReplyProblem::NoSuchMessage.into());
                }
                if row.answers.is_some() {
                    return Err(Problem::invalid("edit_of", "must not be a reply: that is asked for again"));
                }
                Ok((Some(row.conversation), row.parent.map_or(After::Nothing, After::Message)))
            }
            (Some(_), Some(_)) => Err(Problem::invalid("parent_id", "does not go together with edit_of")),
        }
    }
}

/// Where a message stands that may have been posted before: what was edited may be gone since, or follow something else.
async fn posted(app: &App, id: MessageId) -> Result<Option<(Option<ConversationId>, After)>, Problem> {
    Ok(match app.executor.look::<Message>(id).await? {
        Message::Posted { conversation, after, .. } => Some((Some(conversation), after)),
        Message::Unknown | Message::Awaited { .. } | Message::Replied { .. } | Message::Deleted => None,
    })
}

pub(super) fn if_leaf(app: &App, leaf: &str) -> Result<IfLeaf, Problem> {
    let leaf = leaf.parse().map_err(|_| SessionProblem::MovedOn)?;
    Ok(IfLeaf { leaf, history: app.read_models.history.clone(), log: app.log.clone() })
}

#[derive(Deserialize)]
pub(super) struct ChoiceRequest {
    message_id: String,
    if_leaf: Option<String>,
}

/// `PUT /api/v1/sessions/{id}/branch`: the conversation goes on below this message.
pub(super) async fn choose(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<ChoiceRequest>,
) -> Result<Tagged<Done<ShownSession>>, Problem> {
    let (conversation, through) = (parse_session(&id)?, replies::parse(&request.message_id)?);
    let if_leaf = request.if_leaf.as_deref().map(|leaf| if_leaf(&app, leaf)).transpose()?;
    let command = ChooseBranch { by: caller.user, conversation, through, if_leaf };
    let done = app.executor.execute(&command, caller.metadata.clone()).await?;
    sessions::changed(&app, caller.user, conversation, done.position).await
}

/// `POST /api/v1/messages/{id}/edit`: another message in the place of this one, on a branch of its own, and a reply to it.
pub(super) async fn edit(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body(request): Body<PostRequest>,
) -> Result<(StatusCode, Done<Task>), Problem> {
    let Posted { turn, position, .. } = request.edit(id).post(&app, &caller, key, Wanted::Nothing).await?;
    let row = replying::row_at(&app, caller.user, turn.reply, position).await?;
    Ok((StatusCode::CREATED, Done(position, Task::of(&app, row).await)))
}

#[derive(Default, Deserialize)]
pub(super) struct RegenerateRequest {
    provider: Option<String>,
    model: Option<String>,
    max_tokens: Option<i64>,
    temperature: Option<f64>,
    if_leaf: Option<String>,
}

impl RegenerateRequest {
    /// Who is asked; `None` for whoever answered before, in the same way.
    fn answerer(self, app: &App, before: Option<String>) -> Result<Option<Answerer>, Problem> {
        let Self { provider, model, max_tokens, temperature, if_leaf: _ } = self;
        if provider.is_none() && model.is_none() && max_tokens.is_none() && temperature.is_none() {
            // Where nobody else can be asked, the rules answer for every name.
            let is_alone = matches!(app.providers.choose(None, before.as_deref()), Ok(Choice::Rules));
            return Ok(is_alone.then_some(Answerer::Rules));
        }
        let model = model.or_else(|| before.filter(|_| provider.is_none()));
        let mut fields = Fields::default();
        let wanted = ModelRequest { provider, model, max_tokens, temperature }.check(MAX_TOKENS, &mut fields);
        wanted.filter(|_| fields.are_fine()).ok_or_else(|| fields.into_problem())?.choose(app).map(Some)
    }
}

/// `POST /api/v1/messages/{id}/regenerate`: another reply beside this one.
pub(super) async fn regenerate(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    request: Option<Body<RegenerateRequest>>,
) -> Result<(StatusCode, Done<Task>), Problem> {
    let reply = replies::parse(&id)?;
    let request = request.map(|Body(request)| request).unwrap_or_default();
    replying::of_owner(&app, caller.user, reply).await?;
    let before = replying::row(&app, caller.user, reply).await?.model;
    let if_leaf = request.if_leaf.as_deref().map(|leaf| if_leaf(&app, leaf)).transpose()?;
    let answerer = request.answerer(&app, before)?;
    let id = key.0.map_or_else(store::fresh_id, |name| RequestKey::of(caller.user, &name).again(reply));
    replies::ask_again(&app, &caller, AskAgain { by: caller.user, reply, id, answerer, if_leaf }).await
}

impl From<BranchError> for Problem {
    fn from(error: BranchError) -> Self {
        match error {
            BranchError::Stale => SessionProblem::MovedOn.into(),
            BranchError::Lagging => Self::Lagging,
            BranchError::Conversation(ConversationError::NotFound) => Self::NoSuchSession,
            BranchError::Message(MessageError::NotFound) => ReplyProblem::NoSuchMessage.into(),
            BranchError::Conversation(ConversationError::AlreadyStarted)
            | BranchError::Message(MessageError::AlreadyExists | MessageError::NoReplyAwaited) => {
                Self::Internal("a branch was chosen in a new stream")
            }
            BranchError::Store(error) => Self::Store(error),
        }
    }
}
