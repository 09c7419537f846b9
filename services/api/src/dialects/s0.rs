//! S0: at the root, by user name, and everybody has one conversation.

mod looking_back;

use axum::Json;
use axum::extract::State;
use domain::ids::{MessageId, UserId};
use domain::user::Profile;
use domain::values::{DisplayName, Email, MessageBody, Password, PasswordPolicy, Username};
use projections::history::{self, Clearing};
use serde::{Deserialize, Serialize};

use super::token::{NameAndPassword, Token};
use super::{profile, username};
use crate::app::App;
use crate::commands::{Room, home_of};
use crate::extract::{Body, Caller, Context, Form, IdempotencyKey};
use crate::problem::{Fields, Problem};
use crate::routes::chat::{answer_to, clear};
use crate::routes::positioned::{Done, MinPosition, Secret};
use crate::routes::posting::{PostRequest, Terms, Wanted};
use crate::routes::users::{Applicant, Opened, open_account};
use crate::routes::{Sockets, health};
use crate::time::Time;
pub(crate) use looking_back::look_back;

#[derive(Serialize)]
pub(crate) struct Welcome {
    message: &'static str,
    docs: &'static str,
    version: &'static str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /`.
pub(crate) async fn root() -> Json<Welcome> {
    Json(Welcome { message: "Colloquy, a chat service", docs: "/docs", version: VERSION })
}

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    timestamp: Time,
    version: &'static str,
    db: &'static str,
}

/// `GET /health`, for S4's clients, too.
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    let (status, db) = if health::is_up(&app).await { ("healthy", "ok") } else { ("unhealthy", "down") };
    Json(Health { status, timestamp: Time(app.clock().now()), version: VERSION, db })
}

#[derive(Deserialize)]
pub(crate) struct RegisterRequest {
    username: Option<String>,
    password: Option<String>,
    email: Option<String>,
    full_name: Option<String>,
}

impl RegisterRequest {
    fn parse(self, policy: PasswordPolicy) -> Result<Applicant, Problem> {
        // Who leaves a field empty leaves it out.
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let mut fields = Fields::default();
        let username = fields.need("username", self.username, Username::try_from);
        let password = fields.need("password", self.password, |text| Password::chosen(text, policy));
        let email = fields.take("email", given(self.email).map(Email::try_from).transpose());
        let name = fields.take("full_name", given(self.full_name).map(DisplayName::try_from).transpose());
        match (username, password, email, name) {
            (Some(username), Some(password), Some(email), Some(name)) => {
                Ok(Applicant { username: Some(username), email, name, password })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

/// Who is disabled is nobody here, and asks for nothing.
#[derive(Serialize)]
pub(crate) struct ShownUser {
    username: String,
    email: Option<String>,
    full_name: Option<String>,
    disabled: bool,
}

impl From<Profile> for ShownUser {
    fn from(profile: Profile) -> Self {
        let (email, full_name) = (profile.email.clone(), profile.name.clone());
        let (email, full_name) = (email.map(String::from), full_name.map(String::from));
        Self { username: username(profile), email, full_name, disabled: false }
    }
}

/// `POST /register`.
pub(crate) async fn register(
    State(app): State<App>,
    context: Context,
    Body(request): Body<RegisterRequest>,
) -> Result<Done<ShownUser>, Problem> {
    let applicant = request.parse(app.password_policy.at_change());
    let Opened { username, email, name, position, .. } = open_account(&app, context, applicant).await?;
    let username = username.unwrap_or_default();
    Ok(Done(position, ShownUser { username, email, full_name: name, disabled: false }))
}

/// `POST /token`: a form, as it is usual among clients of tokens.
pub(crate) async fn token(
    State(app): State<App>,
    context: Context,
    Form(request): Form<NameAndPassword>,
) -> Result<Secret<Done<Token>>, Problem> {
    request.sign_in(&app, context).await
}

/// `GET /users/me`.
pub(crate) async fn me(State(app): State<App>, caller: Caller) -> Result<Json<ShownUser>, Problem> {
    Ok(Json(profile(&app, caller.user).await?.into()))
}

#[derive(Serialize)]
pub(crate) struct Protected {
    message: String,
    user: String,
}

/// `GET /protected`.
pub(crate) async fn protected(State(app): State<App>, caller: Caller) -> Result<Json<Protected>, Problem> {
    let user = username(profile(&app, caller.user).await?);
    Ok(Json(Protected { message: format!("Hello {user}, this is a protected route"), user }))
}

/// A message.
#[derive(Serialize)]
pub(crate) struct ShownMessage {
    id: MessageId,
    username: String,
    role: &'static str,
    content: String,
    timestamp: Time,
}

/// What a program says that has no name.
const NAMELESS: &str = "api";

/// How somebody's messages are signed.
async fn signature(app: &App, user: UserId) -> Result<String, Problem> {
    match profile(app, user).await {
        Ok(profile) => Ok(username(profile)),
        // The key that the service was set up with is a user without an account.
        Err(Problem::NoSuchUser) => Ok(NAMELESS.to_owned()),
        Err(problem) => Err(problem),
    }
}

/// `POST /chat` with `content`.
pub(super) async fn chat(
    app: &App,
    caller: &Caller,
    key: IdempotencyKey,
    sockets: &Sockets,
    content: String,
) -> Result<Done<ShownMessage>, Problem> {
    let terms = Terms { field: "content", longest: MessageBody::MOST, room: Room::Home, ..Terms::default() };
    let request = PostRequest { message: content, terms, ..PostRequest::default() };
    let posted = request.post(app, caller, key, Wanted::Reply).await?;
    let position = posted.position;
    let reply = answer_to(app, caller, sockets, posted).await?;
    let (id, username, content) = (reply.message_id, signature(app, caller.user).await?, reply.response);
    Ok(Done(position, ShownMessage { id, username, role: BOT, content, timestamp: reply.created_at }))
}

const BOT: &str = "bot";

#[derive(Serialize)]
pub(crate) struct Cleared {
    message: &'static str,
    deleted_messages: u64,
}

/// `DELETE /chat/history`: the conversation goes, and the next message begins another.
pub(crate) async fn clear_history(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
) -> Result<Done<Cleared>, Problem> {
    least.await_in(&app, &app.read_models.history, caller.user).await?.none()?;
    let (db, home) = (app.read_models.history.db(), home_of(&app.executor, caller.user).await?);
    let row = history::conversation(db, caller.user, home).await?;
    let all: Vec<_> = row.map(|row| Clearing { conversation: home, messages: row.messages }).into_iter().collect();
    let awaited = history::awaited_in(db, caller.user, home).await?;
    let (position, deleted_messages) = clear(&app, &caller, &all, awaited).await?;
    Ok(Done(position, Cleared { message: "Chat history cleared", deleted_messages }))
}
