//! `/api/v1/users`: registering and signing in.

use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::{ClaimId, ClaimKind, UserId};
use domain::user::Registration;
use domain::values::{DisplayName, Email, Password, PasswordPolicy, Username};
use serde::{Deserialize, Serialize};
use store::fresh_id;

use super::positioned::Done;
use crate::access_token::Bearer;
use crate::app::App;
use crate::commands::{RegisterError, RegisterUser, SignIn, SignInError, SignedIn};
use crate::extract::{Body, Context};
use crate::problem::{Fields, Problem};

#[derive(Deserialize)]
pub(super) struct RegisterRequest {
    name: String,
    email: String,
    password: String,
    username: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Registered {
    id: UserId,
    name: Option<String>,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

struct Applicant {
    name: DisplayName,
    email: Email,
    username: Option<Username>,
    password: Password,
}

impl RegisterRequest {
    fn parse(self) -> Result<Applicant, Problem> {
        let mut fields = Fields::default();
        let name = fields.take("name", DisplayName::try_from(self.name));
        let email = fields.take("email", Email::try_from(self.email));
        let username = fields.take("username", self.username.map(Username::try_from).transpose());
        let password = fields.take("password", Password::chosen(self.password, PasswordPolicy::Mixed));
        match (name, email, username, password) {
            (Some(name), Some(email), Some(username), Some(password)) => {
                Ok(Applicant { name, email, username, password })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

pub(super) async fn register(
    State(app): State<App>,
    context: Context,
    Body(request): Body<RegisterRequest>,
) -> Result<(StatusCode, Done<Registered>), Problem> {
    let Applicant { name, email, username, password } = request.parse()?;
    let password_hash = app.passwords.hash(&password).await?;
    let who = Registration { username, email: Some(email), name: Some(name), password_hash };
    let command = RegisterUser { who };
    let done = app.executor.execute(&command, context.anonymous()).await?;
    let who = command.who;
    let registered = Registered {
        id: done.output,
        name: who.name.map(String::from),
        email: who.email.map(String::from),
        username: who.username.map(String::from),
    };
    Ok((StatusCode::CREATED, Done(done.position, registered)))
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Claim(domain::user::claim::ClaimError::Taken(kind)) => Self::Taken(kind),
            RegisterError::User(_) => Self::Internal("a new user's stream was not new"),
            RegisterError::Store(error) => Self::Store(error),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct LoginRequest {
    email: String,
    password: String,
}

#[derive(Serialize)]
pub(super) struct LoggedIn {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
}

pub(super) async fn login(
    State(app): State<App>,
    context: Context,
    Body(request): Body<LoginRequest>,
) -> Result<Done<LoggedIn>, Problem> {
    let email = Email::try_from(request.email).ok();
    let lifetime_seconds = app.access_tokens.lifetime_seconds();
    let command = SignIn {
        passwords: &app.passwords,
        claim: email.map(|email| ClaimId::of(ClaimKind::Email, &email.key())),
        password: Password::presented(request.password),
        lifetime_seconds,
    };
    let done = app.executor.execute(&command, context.anonymous()).await?;
    let SignedIn { user, session, at } = done.output;
    let access_token = app
        .access_tokens
        .issue(Bearer { user, session }, fresh_id(), at)
        .ok_or(Problem::Internal("an access token could not be signed"))?;
    Ok(Done(done.position, LoggedIn { access_token, token_type: "bearer", expires_in: lifetime_seconds }))
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => Self::WrongCredentials,
            SignInError::Busy => Self::Busy,
            SignInError::Token(_) => Self::Internal("a new token's stream was not new"),
            SignInError::Store(error) => Self::Store(error),
        }
    }
}
