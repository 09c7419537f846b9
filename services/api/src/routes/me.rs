//! `/api/v1/users/me`: one's own profile, password and sign-ins.

use axum::extract::{Path, State};
use domain::ids::{TokenId, UserId};
use domain::user::{Account, Profile, User};
use domain::values::{DisplayName, Email, Password, Role, Username};
use projections::token_activity::{self, SignIn};
use serde::{Deserialize, Serialize};

use super::positioned::{Done, MinPosition, NoContent, Seen};
use crate::app::{App, Guessed};
use crate::caller::Caller;
use crate::commands::{ChangeError, ChangePassword, ChangeProfile, EndSignIn, Proof, Standing};
use crate::extract::Body;
use crate::problem::{Fields, Problem};
use crate::throttle::Ticket;
use crate::time::Time;

/// A user as they, and administrators, see them.
#[derive(Serialize)]
pub(super) struct UserView {
    id: UserId,
    name: Option<String>,
    email: Option<String>,
    username: Option<String>,
    roles: Vec<Role>,
    disabled: bool,
}

impl UserView {
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

pub(super) async fn show(State(app): State<App>, caller: Caller) -> Result<axum::Json<UserView>, Problem> {
    let user = app.executor.look::<User>(caller.user).await?;
    UserView::of(caller.user, &user).map(axum::Json).ok_or(Problem::NoSuchUser)
}

#[derive(Deserialize)]
pub(super) struct ProfileRequest {
    name: Option<String>,
    username: Option<String>,
    email: Option<String>,
    /// Needed where the email or the user name changes: with these somebody can sign in.
    current_password: Option<String>,
}

pub(super) async fn change_profile(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<ProfileRequest>,
) -> Result<Done<UserView>, Problem> {
    let mut fields = Fields::default();
    let name = fields.take("name", request.name.map(DisplayName::try_from).transpose());
    let username = fields.take("username", request.username.map(Username::try_from).transpose());
    let email = fields.take("email", request.email.map(Email::try_from).transpose());
    let (Some(name), Some(username), Some(email)) = (name, username, email) else { return Err(fields.into_problem()) };
    let (proof, ticket) = if email.is_some() || username.is_some() {
        let (proof, ticket) = proof(&app, &caller, request.current_password.unwrap_or_default()).await?;
        (Some(proof), Some(ticket))
    } else {
        (None, None)
    };
    let command = ChangeProfile { user: caller.user, username, email, name, proof };
    let done = app.executor.execute(&command, caller.metadata).await;
    let done = settled(&app, caller.user, ticket, done).await?;
    let user = app.executor.look::<User>(caller.user).await?;
    UserView::of(caller.user, &user).map(|shown| Done(done.position, shown)).ok_or(Problem::NoSuchUser)
}

/// Whoever has somebody's access token may not know their password, and may not guess it here.
async fn proof<'a>(app: &'a App, caller: &Caller, password: String) -> Result<(Proof<'a>, Ticket), Problem> {
    let ticket = app.admit_guess(&caller.metadata, caller.user).await?;
    let identifier = app.throttle.identifier(caller.user);
    let password = Password::presented(password);
    Ok((Proof { passwords: &app.passwords, password, identifier }, ticket))
}

/// What came of a command that asked for the password, beside the guess that it counted as.
async fn settled(
    app: &App,
    user: UserId,
    ticket: Option<Ticket>,
    done: Result<store::Done<Option<Standing>>, ChangeError>,
) -> Result<store::Done<Standing>, Problem> {
    let guess = match &done {
        Ok(done) if done.output.is_some() => Guessed::Right,
        Ok(_) => Guessed::Wrong,
        Err(_) => Guessed::Nothing,
    };
    if let Some(ticket) = ticket {
        app.settle_guess(ticket, guess).await;
    }
    let store::Done { output, position } = done?;
    app.own_writes.note(user, position);
    Ok(store::Done { output: output.ok_or(Problem::WrongPassword)?, position })
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
) -> Result<NoContent, Problem> {
    let mut fields = Fields::default();
    let policy = app.password_policy.at_change();
    let new = fields.take("new_password", Password::chosen(request.new_password, policy));
    let Some(new) = new else { return Err(fields.into_problem()) };
    let (proof, ticket) = proof(&app, &caller, request.current_password).await?;
    let (user, kept) = (caller.user, caller.session);
    let command = ChangePassword { user, proof, new, kept };
    let done = app.executor.execute(&command, caller.metadata).await;
    let done = settled(&app, user, Some(ticket), done).await?;
    app.end_all(user, &done.output).await;
    Ok(NoContent(done.position))
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
) -> Result<NoContent, Problem> {
    let id: TokenId = id.parse().map_err(|_| Problem::NoSuchSignIn)?;
    let done = app.executor.execute(&EndSignIn { by: caller.user, id }, caller.metadata).await?;
    if !done.output {
        return Err(Problem::NoSuchSignIn);
    }
    app.end_sign_in(id).await;
    app.own_writes.note(caller.user, done.position);
    Ok(NoContent(done.position))
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
