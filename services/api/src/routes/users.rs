//! `/api/v1/users/register`: a new account.

use axum::extract::State;
use axum::http::StatusCode;
use domain::Timestamp;
use domain::ids::UserId;
use domain::user::Registration;
use domain::values::{DisplayName, Email, Password, PasswordPolicy, Username};
use serde::{Deserialize, Serialize};
use store::Position;

use super::positioned::Done;
use crate::app::App;
use crate::commands::{RegisterError, RegisterUser, Registered};
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
pub(super) struct Shown {
    id: UserId,
    name: Option<String>,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

/// Whoever wants an account.
pub(crate) struct Applicant {
    pub(crate) username: Option<Username>,
    pub(crate) email: Option<Email>,
    pub(crate) name: Option<DisplayName>,
    pub(crate) password: Password,
}

/// An account that was made.
pub(crate) struct Opened {
    pub(crate) id: UserId,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) position: Option<Position>,
}

impl RegisterRequest {
    fn parse(self, policy: PasswordPolicy) -> Result<Applicant, Problem> {
        let mut fields = Fields::default();
        let name = fields.take("name", DisplayName::try_from(self.name));
        let email = fields.take("email", Email::try_from(self.email.to_lowercase()));
        let username = fields.take("username", self.username.map(Username::try_from).transpose());
        let password = fields.take("password", Password::chosen(self.password, policy));
        match (name, email, username, password) {
            (Some(name), Some(email), Some(username), Some(password)) => {
                Ok(Applicant { name: Some(name), email: Some(email), username, password })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

pub(super) async fn register(
    State(app): State<App>,
    context: Context,
    Body(request): Body<RegisterRequest>,
) -> Result<(StatusCode, Done<Shown>), Problem> {
    let applicant = request.parse(app.password_policy.at_registration());
    let Opened { id, username, email, name, position, at: _ } = open_account(&app, context, applicant).await?;
    Ok((StatusCode::CREATED, Done(position, Shown { id, name, email, username })))
}

/// Makes an account. Each attempt counts, however it was filled in.
pub(crate) async fn open_account(
    app: &App,
    context: Context,
    applicant: Result<Applicant, Problem>,
) -> Result<Opened, Problem> {
    let metadata = context.anonymous();
    app.admit_registration(&metadata).await?;
    let Applicant { username, email, name, password } = applicant?;
    let password_hash = app.passwords.hash(&password).await?;
    let command = RegisterUser { who: Registration { username, email, name, password_hash }, roles: Vec::new() };
    let done = app.executor.execute(&command, metadata).await?;
    let (Registered { user, at }, position, who) = (done.output, done.position, command.who);
    let (username, email, name) =
        (who.username.map(String::from), who.email.map(String::from), who.name.map(String::from));
    Ok(Opened { id: user, username, email, name, at, position })
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
