//! S1: under `/api`, by email, with conversations. What streams are the canonical routes themselves.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::{Email, Invalid, Password, PasswordPolicy};
use projections::history::{self, ConversationsQuery};
use serde::{Deserialize, Serialize};
use store::Position;

use super::profile;
use crate::app::App;
use crate::extract::{Body, Caller, Context, FormOrJson, IdempotencyKey, Parameters};
use crate::problem::{Fields, Problem};
use crate::routes::chat::answer_to;
use crate::routes::pages;
use crate::routes::positioned::{Done, MinPosition, Secret, Seen};
use crate::routes::posting::{PostRequest, Wanted};
use crate::routes::users::{Applicant, Opened, open_account};
use crate::routes::{Sockets, sign_in};
use crate::time::Time;

#[derive(Deserialize)]
pub(crate) struct RegisterRequest {
    email: Option<String>,
    password: Option<String>,
}

impl RegisterRequest {
    fn parse(self, policy: PasswordPolicy) -> Result<Applicant, Problem> {
        let mut fields = Fields::default();
        let email = fields.need("email", self.email, Email::try_from);
        let password = fields.need("password", self.password, |text| Password::chosen(text, policy));
        let (Some(email), Some(password)) = (email, password) else { return Err(fields.into_problem()) };
        Ok(Applicant { username: None, email: Some(email), name: None, password })
    }
}

#[derive(Serialize)]
pub(crate) struct Registered {
    id: UserId,
    email: Option<String>,
    created_at: Time,
}

/// `POST /api/auth/register`.
pub(crate) async fn register(
    State(app): State<App>,
    context: Context,
    Body(request): Body<RegisterRequest>,
) -> Result<(StatusCode, Done<Registered>), Problem> {
    let applicant = request.parse(app.password_policy.at_change());
    let Opened { id, email, at, position, .. } = open_account(&app, context, applicant).await?;
    Ok((StatusCode::CREATED, Done(position, Registered { id, email, created_at: Time(at) })))
}

/// A form calls it `username`; JSON may call it `email`.
#[derive(Deserialize)]
pub(crate) struct LoginRequest {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that clients know")]
pub(crate) struct Token {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
}

/// `POST /api/auth/login`.
pub(crate) async fn login(
    State(app): State<App>,
    context: Context,
    FormOrJson(request): FormOrJson<LoginRequest>,
) -> Result<Secret<Done<Token>>, Problem> {
    let mut fields = Fields::default();
    let (field, typed) = match (request.email, request.username) {
        (Some(email), None) => ("email", Some(email)),
        (_, username) => ("username", username),
    };
    let email = fields.need(field, typed, Email::try_from);
    let password = fields.need("password", request.password, Ok);
    let (Some(email), Some(password)) = (email, password) else { return Err(fields.into_problem()) };
    let (access_token, expires_in, position) = sign_in::brief(&app, context, email.as_str(), password).await?;
    Ok(Secret(Done(position, Token { access_token, token_type: "bearer", expires_in })))
}

#[derive(Serialize)]
pub(crate) struct ShownUser {
    id: UserId,
    email: Option<String>,
    is_active: bool,
}

/// `GET /api/users/me`. Who is not active is nobody here, and asks for nothing.
pub(crate) async fn me(State(app): State<App>, caller: Caller) -> Result<Json<ShownUser>, Problem> {
    let email = profile(&app, caller.user).await?.email.map(String::from);
    Ok(Json(ShownUser { id: caller.user, email, is_active: true }))
}

#[derive(Serialize)]
pub(crate) struct Chat {
    message_id: MessageId,
    session_id: ConversationId,
    reply: String,
    model: String,
    usage: Tokens,
    created_at: Time,
}

#[derive(Serialize)]
struct Tokens {
    tokens: u32,
}

/// `POST /api/chat`.
pub(crate) async fn chat(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Extension(sockets): Extension<Sockets>,
    Body(request): Body<PostRequest>,
) -> Result<Done<Chat>, Problem> {
    let posted = request.post(&app, &caller, key, Wanted::Reply).await?;
    let position = posted.position;
    let reply = answer_to(&app, &caller, &sockets, posted).await?;
    let chat = Chat {
        message_id: reply.message_id,
        session_id: reply.session_id,
        reply: reply.response,
        model: reply.model,
        usage: Tokens { tokens: reply.usage.total_tokens },
        created_at: reply.created_at,
    };
    Ok(Done(position, chat))
}

#[derive(Deserialize)]
pub(crate) struct HistoryParameters {
    page: Option<u32>,
    per_page: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct HistoryAnswer {
    items: Vec<Item>,
    page: u32,
    per_page: u32,
    total: u64,
}

#[derive(Serialize)]
struct Item {
    session_id: ConversationId,
    last_message: String,
    updated_at: Time,
}

/// `GET /api/history`: conversations, the one that changed last first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(asked): Parameters<HistoryParameters>,
) -> Result<Seen<HistoryAnswer>, Problem> {
    let mut fields = Fields::default();
    let page = asked.page.unwrap_or(1);
    fields.take("page", if page > 0 { Ok(()) } else { Err(Invalid::OutOfRange(1, u32::MAX)) });
    let per_page = pages::limit_of("per_page", &mut fields, asked.per_page);
    let Some(per_page) = per_page.filter(|_| fields.are_fine()) else { return Err(fields.into_problem()) };
    let model = &app.read_models.history;
    let lag = least.await_in(&app, model, caller.user).await?;
    let query = ConversationsQuery {
        owner: caller.user,
        favourite: None,
        archived: None,
        text: None,
        before: Position::new(i64::MAX),
        skip: (page - 1).saturating_mul(per_page),
        limit: per_page,
    };
    let found = history::conversations(model.db(), &query).await?.conversations;
    let mut words = history::last_words(model.db(), &found).await?;
    let item = |it: history::Conversation| Item {
        session_id: it.id,
        last_message: words.remove(&it.id).unwrap_or_default(),
        updated_at: Time(it.updated_at),
    };
    let items = found.into_iter().map(item).collect();
    let total = history::conversations_in_all(model.db(), caller.user).await?;
    Ok(Seen(lag, HistoryAnswer { items, page, per_page, total }))
}
