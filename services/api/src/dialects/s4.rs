//! S4: at the root, models by name, tasks in the background.

mod conversations;

use axum::extract::{Path, State};
use domain::ids::{MessageId, UserId};
use domain::values::{Email, Password, PasswordPolicy, Username};
use serde::{Deserialize, Serialize};

use super::token::{NameAndPassword, Token};
use crate::app::App;
use crate::extract::{Body, Caller, Context, IdempotencyKey};
use crate::problem::{Fields, Problem};
use crate::routes::Sockets;
use crate::routes::chat::answer_to;
use crate::routes::positioned::{Done, MinPosition, Secret, Seen};
use crate::routes::posting::{PostRequest, Terms, Wanted};
use crate::routes::replies::{self, Task};
use crate::routes::replying::{Answered, ShownUsage};
use crate::routes::users::{Applicant, Opened, open_account};
use crate::time::Time;
pub(crate) use conversations::list;

#[derive(Deserialize)]
pub(crate) struct RegisterRequest {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

/// The shortest user name that is given here.
const SHORTEST_NAME: usize = 3;

impl RegisterRequest {
    fn parse(self, policy: PasswordPolicy) -> Result<Applicant, Problem> {
        let mut fields = Fields::default();
        let username = fields.need("username", self.username, |name| Username::of_least(name, SHORTEST_NAME));
        let email = fields.need("email", self.email, Email::try_from);
        let password = fields.need("password", self.password, |text| Password::chosen(text, policy));
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) => {
                Ok(Applicant { username: Some(username), email: Some(email), name: None, password })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct ShownUser {
    id: UserId,
    username: Option<String>,
    email: Option<String>,
    created_at: Time,
}

/// `POST /auth/register`.
pub(crate) async fn register(
    State(app): State<App>,
    context: Context,
    Body(request): Body<RegisterRequest>,
) -> Result<Done<ShownUser>, Problem> {
    let applicant = request.parse(app.password_policy.at_change());
    let Opened { id, username, email, at, position, name: _ } = open_account(&app, context, applicant).await?;
    Ok(Done(position, ShownUser { id, username, email, created_at: Time(at) }))
}

/// `POST /auth/login`: what is in the address is not looked at.
pub(crate) async fn login(
    State(app): State<App>,
    context: Context,
    Body(request): Body<NameAndPassword>,
) -> Result<Secret<Done<Token>>, Problem> {
    request.sign_in(&app, context).await
}

#[derive(Deserialize)]
pub(crate) struct ChatRequest {
    pub(super) message: Option<String>,
    model: Option<String>,
    max_tokens: Option<i64>,
    temperature: Option<f64>,
}

/// The longest message on these paths.
const LONGEST_MESSAGE: usize = 1_000;

impl ChatRequest {
    fn post(self) -> Result<PostRequest, Problem> {
        let Self { message, model, max_tokens, temperature } = self;
        let mut fields = Fields::default();
        let message = fields.need("message", message, Ok).ok_or_else(|| fields.into_problem())?;
        let terms = Terms { longest: LONGEST_MESSAGE, ..Terms::default() };
        Ok(PostRequest { message, terms, model, max_tokens, temperature, ..PostRequest::default() })
    }
}

/// A reply.
#[derive(Serialize)]
pub(crate) struct Chat {
    id: MessageId,
    message: String,
    model: String,
    usage: ShownUsage,
    created_at: Time,
}

impl From<Answered> for Chat {
    fn from(reply: Answered) -> Self {
        let Answered { message_id, response, model, usage, created_at, .. } = reply;
        Self { id: message_id, message: response, model, usage, created_at }
    }
}

/// `POST /chat` with `message`: each begins a conversation.
pub(super) async fn chat(
    app: &App,
    caller: &Caller,
    key: IdempotencyKey,
    sockets: &Sockets,
    request: ChatRequest,
) -> Result<Done<Chat>, Problem> {
    let posted = request.post()?.post(app, caller, key, Wanted::Reply).await?;
    let position = posted.position;
    Ok(Done(position, answer_to(app, caller, sockets, posted).await?.into()))
}

#[derive(Serialize)]
pub(crate) struct ShownTask {
    task_id: MessageId,
    status: &'static str,
    result: Option<Chat>,
    error: Option<&'static str>,
}

impl From<Task> for ShownTask {
    fn from(task: Task) -> Self {
        let Task { task_id, status, result, error, .. } = task;
        Self { task_id, status, result: result.map(Chat::from), error: error.map(|error| error.code) }
    }
}

/// `POST /chat/background`.
pub(crate) async fn begin_task(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<ChatRequest>,
) -> Result<Done<ShownTask>, Problem> {
    let Done(position, task) = replies::begin(&app, &caller, key, request.post()?).await?;
    Ok(Done(position, task.into()))
}

/// `GET /chat/tasks/{task_id}`.
pub(crate) async fn task(
    state: State<App>,
    caller: Caller,
    least: MinPosition,
    id: Path<String>,
) -> Result<Seen<ShownTask>, Problem> {
    let Seen(lag, task) = replies::task(state, caller, least, id).await?;
    Ok(Seen(lag, task.into()))
}
