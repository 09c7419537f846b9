//! `/api/v1/users/register`: a new account.

use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::UserId;
use domain::user::Registration;
use domain::values::{DisplayName, Email, Password, PasswordPolicy, Username};
use serde::{Deserialize, Serialize};

use super::positioned::Done;
use crate::app::App;
use crate::commands::{RegisterError, RegisterUser};
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
    fn parse(self, policy: PasswordPolicy) -> Result<Applicant, Problem> {
        let mut fields = Fields::default();
        let name = fields.take("name", DisplayName::try_from(self.name));
        let email = fields.take("email", Email::try_from(self.email));
        let username = fields.take("username", self.username.map(Username::try_from).transpose());
        let password = fields.take("password", Password::chosen(self.password, policy));
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
    let metadata = context.anonymous();
    app.admit_registration(&metadata).await?;
    let Applicant { name, email, username, password } = request.parse(app.password_policy.at_registration())?;
    let password_hash = app.passwords.hash(&password).await?;
    let who = Registration { username, email: Some(email), name: Some(name), password_hash };
    let command = RegisterUser { who, roles: Vec::new() };
    let done = app.executor.execute(&command, metadata).await?;
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
