//! `/api/v1/users/me`: one's own profile, password and sign-ins.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::ids::{TokenId, UserId};
use domain::token::notice::{NoticeEvent, SignInFailure};
use domain::user::{Account, Profile, User};
use domain::values::{DisplayName, Email, Password, Role, Username};
use projections::token_activity::{self, SignIn};
use serde::{Deserialize, Serialize};

use super::positioned::{Done, MinPosition, Seen};
use crate::app::App;
use crate::caller::Caller;
use crate::commands::{ChangeError, ChangePassword, ChangeProfile, EndSignIn, Note};
use crate::extract::Body;
use crate::passwords::Verified;
use crate::problem::{Fields, Problem};
use crate::time::Time;

/// A user as they, and administrators, see them.
#[derive(Serialize)]
pub(super) struct Shown {
    id: UserId,
    name: Option<String>,
    email: Option<String>,
    username: Option<String>,
    roles: Vec<Role>,
    disabled: bool,
}

impl Shown {
    pub(super) fn of(id: UserId, user: &User) -> Option<Self> {
        let Account { profile, roles, .. } = user.account()?;
        let Profile { username, email, name } = profile.clone();
        let (username, email) = (username.map(String::from), email.map(String::from));
        Some(Self {
            id,
            // Who has no name shows the user name, else the email.
            name: name.map(String::from).or_else(|| username.clone()).or_else(|| email.clone()),
            email,
            username,
            roles: roles.iter().copied().collect(),
            disabled: user.active().is_none(),
        })
    }
}

pub(super) async fn show(State(app): State<App>, caller: Caller) -> Result<axum::Json<Shown>, Problem> {
    let user = app.executor.look::<User>(caller.user).await?;
    Shown::of(caller.user, &user).map(axum::Json).ok_or(Problem::NoSuchUser)
}

#[derive(Deserialize)]
pub(super) struct ProfileRequest {
    name: Option<String>,
    username: Option<String>,
    email: Option<String>,
    /// Needed where the email changes: with it somebody can sign in.
    current_password: Option<String>,
}

pub(super) async fn change_profile(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<ProfileRequest>,
) -> Result<Done<Shown>, Problem> {
    let mut fields = Fields::default();
    let name = fields.take("name", request.name.map(DisplayName::try_from).transpose());
    let username = fields.take("username", request.username.map(Username::try_from).transpose());
    let email = fields.take("email", request.email.map(Email::try_from).transpose());
    let (Some(name), Some(username), Some(email)) = (name, username, email) else { return Err(fields.into_problem()) };
    if email.is_some() {
        prove(&app, &caller, request.current_password.unwrap_or_default()).await?;
    }
    let command = ChangeProfile { user: caller.user, username, email, name };
    let done = app.executor.execute(&command, caller.metadata).await?;
    app.own_writes.note(caller.user, done.position);
    let user = app.executor.look::<User>(caller.user).await?;
    Shown::of(caller.user, &user).map(|shown| Done(done.position, shown)).ok_or(Problem::NoSuchUser)
}

/// Whoever has somebody's access token may not know their password, and may not guess it here.
async fn prove(app: &App, caller: &Caller, password: String) -> Result<(), Problem> {
    let name = caller.user.to_string();
    let ticket = app.admit_guess(&caller.metadata, &name).await?;
    let user = app.executor.look::<User>(caller.user).await?;
    let hash = user.active().map(|account| &account.password_hash);
    match app.passwords.verify(Password::presented(password).as_ref(), hash).await? {
        Verified::Yes { .. } => Ok(app.throttle.succeeded(ticket, app.clock().now()).await?),
        Verified::No => {
            let (identifier, reason) = (app.throttle.identifier(&name), SignInFailure::WrongPassword);
            let failed = NoticeEvent::SignInFailed { user: Some(caller.user), identifier, reason };
            app.executor.execute(&Note(failed), caller.metadata.clone()).await?;
            Err(Problem::WrongPassword)
        }
    }
}

#[derive(Deserialize)]
pub(super) struct PasswordRequest {
    current_password: String,
    new_password: String,
}

pub(super) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<PasswordRequest>,
) -> Result<StatusCode, Problem> {
    let mut fields = Fields::default();
    let policy = app.password_policy.at_change();
    let new = fields.take("new_password", Password::chosen(request.new_password, policy));
    let Some(new) = new else { return Err(fields.into_problem()) };
    let ticket = app.admit_guess(&caller.metadata, &caller.user.to_string()).await?;
    let identifier = app.throttle.identifier(&caller.user.to_string());
    let current = Password::presented(request.current_password);
    let (user, kept) = (caller.user, caller.session);
    let command = ChangePassword { passwords: &app.passwords, user, identifier, current, new, kept };
    let done = app.executor.execute(&command, caller.metadata).await?;
    app.own_writes.note(user, done.position);
    let standing = done.output.ok_or(Problem::WrongPassword)?;
    app.throttle.succeeded(ticket, app.clock().now()).await?;
    app.end_all(user, &standing).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
pub(super) struct ShownSignIn {
    id: TokenId,
    created_at: Time,
    last_used_at: Time,
    expires_at: Time,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the one that is asking.
    current: bool,
}

pub(super) async fn sign_ins(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
) -> Result<Seen<Vec<ShownSignIn>>, Problem> {
    let model = &app.read_models.token_activity;
    let lag = least.await_in(&app, model, caller.user).await?;
    let open = token_activity::sign_ins_of(model.db(), caller.user, app.clock().now()).await?;
    Ok(Seen(lag, open.into_iter().map(|sign_in| ShownSignIn::of(sign_in, caller.session)).collect()))
}

impl ShownSignIn {
    fn of(sign_in: SignIn, current: Option<TokenId>) -> Self {
        Self {
            id: sign_in.id,
            created_at: Time(sign_in.started_at),
            last_used_at: Time(sign_in.last_used_at),
            expires_at: Time(sign_in.expires_at),
            ip: sign_in.ip,
            user_agent: sign_in.user_agent,
            current: current == Some(sign_in.id),
        }
    }
}

pub(super) async fn end_sign_in(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id: TokenId = id.parse().map_err(|_| Problem::NoSuchSignIn)?;
    let done = app.executor.execute(&EndSignIn { by: caller.user, id }, caller.metadata).await?;
    if !done.output {
        return Err(Problem::NoSuchSignIn);
    }
    app.revocations.end_sign_in(id, app.clock().now());
    app.refresh_tokens.forget(id).await;
    app.own_writes.note(caller.user, done.position);
    Ok(StatusCode::NO_CONTENT)
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        use domain::user::UserError;
        use domain::user::claim::ClaimError;
        match error {
            ChangeError::Busy => Self::Busy,
            ChangeError::Claim(ClaimError::Taken(kind)) => Self::Taken(kind),
            ChangeError::User(UserError::NotFound | UserError::Disabled) => Self::NoSuchUser,
            ChangeError::User(UserError::AlreadyRegistered | UserError::Nameless) => {
                Self::Internal("an account would have lost its names")
            }
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}
