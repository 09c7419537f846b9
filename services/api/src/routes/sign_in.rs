//! `/api/v1/users`: signing in, staying signed in, signing out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Metadata;
use domain::ids::UserId;
use domain::token::notice::NoticeEvent;
use domain::user::UserCommand;
use domain::values::Password;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Position, fresh_id};

use super::cookie::{self, Sent};
use super::positioned::{Done, NoContent, Secret};
use crate::app::{App, Guessed};
use crate::caller;
use crate::commands::{
    self, ChangeUser, Note, Refresh, RefreshError, Refreshed, SignIn, SignInError, SignOut, SignedIn, SignedOut,
};
use crate::extract::{Body, Context};
use crate::problem::Problem;
use crate::tokens::{Bearer, RefreshToken};

/// A user name does where an email does, under either field's name.
#[derive(Deserialize)]
pub(super) struct LoginRequest {
    email: Option<String>,
    username: Option<String>,
    password: String,
}

#[derive(Serialize)]
struct Tokens {
    access_token: String,
    token_type: &'static str,
    refresh_token: String,
    expires_in: u32,
}

pub(super) async fn login(
    State(app): State<App>,
    context: Context,
    Body(request): Body<LoginRequest>,
) -> Result<Response, Problem> {
    let typed = request.email.or(request.username).ok_or_else(nameless)?;
    let (SignedIn { user, session, epoch, refresh_token, at }, position) =
        sign_in(&app, context, &typed, request.password).await?;
    let bearer = Bearer { user, session, generation: 0, epoch };
    answer(&app, bearer, &refresh_token, position, at)
}

/// Begins a sign-in, of whoever has that name or email and that password.
async fn sign_in(
    app: &App,
    context: Context,
    typed: &str,
    password: String,
) -> Result<(SignedIn, Option<Position>), Problem> {
    let metadata = context.anonymous();
    let ticket = app.admit_guess(&metadata, typed).await?;
    let command = SignIn {
        passwords: &app.passwords,
        refresh_tokens: &app.refresh_tokens,
        claim: commands::claim_of(typed),
        identifier: app.throttle.identifier(typed),
        password: Password::presented(password),
        from: commands::origin(&metadata),
    };
    let done = app.executor.execute(&command, metadata).await;
    let guess = match &done {
        Ok(done) if done.output.is_ok() => Guessed::Right,
        Ok(_) => Guessed::Wrong,
        Err(_) => Guessed::Nothing,
    };
    app.settle_guess(ticket, guess).await;
    let done = done?;
    Ok((done.output.map_err(|_| Problem::WrongCredentials)?, done.position))
}

/// The same for those who never refresh: an access token, for how many seconds, and where its sign-in stands.
pub(crate) async fn brief(
    app: &App,
    context: Context,
    typed: &str,
    password: String,
) -> Result<(String, u32, Option<Position>), Problem> {
    let (SignedIn { user, session, epoch, at, refresh_token: _ }, position) =
        sign_in(app, context, typed, password).await?;
    app.own_writes.note(user, position);
    let token = access_token(app, Bearer { user, session, generation: 0, epoch }, at)?;
    Ok((token, app.access_tokens.lifetime_seconds(), position))
}

fn access_token(app: &App, bearer: Bearer, at: domain::Timestamp) -> Result<String, Problem> {
    let token = app.access_tokens.issue(bearer, fresh_id(), at);
    token.ok_or(Problem::Internal("an access token could not be signed"))
}

fn nameless() -> Problem {
    Problem::invalid("email", "the field email is missing")
}

/// Both tokens, the refresh token as a cookie, too.
fn answer(
    app: &App,
    bearer: Bearer,
    refresh_token: &RefreshToken,
    position: Option<Position>,
    at: domain::Timestamp,
) -> Result<Response, Problem> {
    app.own_writes.note(bearer.user, position);
    let access_token = access_token(app, bearer, at)?;
    let (refresh_token, expires_in) = (refresh_token.text(), app.access_tokens.lifetime_seconds());
    let cookie = cookie::set(Some((&refresh_token, app.refresh_tokens.lifetime.idle_seconds)));
    let tokens = Tokens { access_token, token_type: "bearer", refresh_token, expires_in };
    Ok(([(header::SET_COOKIE, cookie)], Secret(Done(position, tokens))).into_response())
}

pub(super) async fn refresh(State(app): State<App>, context: Context, headers: HeaderMap) -> Response {
    let answer = refreshed(&app, context, &headers).await;
    answer.unwrap_or_else(refused)
}

async fn refreshed(app: &App, context: Context, headers: &HeaderMap) -> Result<Response, Problem> {
    let metadata = context.anonymous();
    let presented = presented(app, headers, &metadata).await?;
    let from = commands::origin(&metadata);
    let command = Refresh { tokens: &app.refresh_tokens, presented: &presented, from };
    let done = app.executor.execute(&command, metadata.clone()).await?;
    match done.output {
        Refreshed::Yes { user, session, generation, epoch, refresh_token, at } => {
            return answer(app, Bearer { user, session, generation, epoch }, &refresh_token, done.position, at);
        }
        Refreshed::No { ended: true } => app.end_sign_in(presented.family()).await,
        Refreshed::No { ended: false } => {}
        Refreshed::Unknown => note_unknown(app, &metadata, true).await?,
    }
    Err(Problem::WrongCredentials)
}

/// The token that was sent, unless a page of another site made the browser send it.
async fn presented(app: &App, headers: &HeaderMap, metadata: &Metadata) -> Result<RefreshToken, Problem> {
    let sent = Sent::with(headers).ok_or(Problem::WrongCredentials)?;
    let is_allowed = headers.get(header::ORIGIN).is_some_and(|origin| app.origins.may_sign(origin));
    if sent.is_foreign(headers) && !is_allowed {
        return Err(Problem::ForeignOrigin);
    }
    if let Some(token) = RefreshToken::parse(sent.text()) {
        return Ok(token);
    }
    note_unknown(app, metadata, false).await?;
    Err(Problem::WrongCredentials)
}

/// A token that never was one is noted, but not each time.
async fn note_unknown(app: &App, metadata: &Metadata, well_formed: bool) -> Result<(), Problem> {
    if app.unknown_tokens.is_news(metadata.ip.as_deref().unwrap_or_default()) {
        let unknown = NoticeEvent::UnknownTokenPresented { well_formed };
        app.executor.execute(&Note(unknown), metadata.clone()).await?;
    }
    Ok(())
}

/// A 401 takes the cookie away; nothing else does, or a moment's trouble would sign people out.
fn refused(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::SET_COOKIE, cookie::set(None));
    }
    response
}

pub(super) async fn logout(State(app): State<App>, context: Context, headers: HeaderMap) -> Response {
    signed_out(&app, context, &headers).await.map_or_else(refused, gone)
}

async fn signed_out(app: &App, context: Context, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let metadata = context.anonymous();
    let presented = presented(app, headers, &metadata).await?;
    let (_, position) = sign_out(app, &presented, metadata).await?;
    Ok(position)
}

async fn sign_out(
    app: &App,
    presented: &RefreshToken,
    metadata: Metadata,
) -> Result<(UserId, Option<Position>), Problem> {
    let from = commands::origin(&metadata);
    let command = SignOut { tokens: &app.refresh_tokens, presented, from };
    let done = app.executor.execute(&command, metadata.clone()).await?;
    let ended = match done.output {
        SignedOut::Yes { .. } => true,
        SignedOut::No { ended } => ended,
        SignedOut::Unknown => {
            note_unknown(app, &metadata, true).await?;
            false
        }
    };
    if ended {
        app.end_sign_in(presented.family()).await;
    }
    match done.output {
        SignedOut::Yes { user } => Ok((user, done.position)),
        SignedOut::No { .. } | SignedOut::Unknown => Err(Problem::WrongCredentials),
    }
}

/// Done; the cookie goes.
fn gone(position: Option<Position>) -> Response {
    ([(header::SET_COOKIE, cookie::set(None))], NoContent(position)).into_response()
}

pub(super) async fn logout_all(State(app): State<App>, context: Context, headers: HeaderMap) -> Response {
    signed_out_everywhere(&app, context, &headers).await.map_or_else(refused, gone)
}

/// By a refresh token or an access token, whichever comes along and is good.
async fn signed_out_everywhere(app: &App, context: Context, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let (user, metadata) = match caller::identify(app, headers).await {
        Ok(identity) if identity.is_person() => (identity.user, identity.metadata(context)),
        Err(problem @ Problem::Store(_)) => return Err(problem),
        Ok(_) | Err(_) => {
            let user = owner(app, context.clone(), headers).await?;
            (user, context.by(user, None, None))
        }
    };
    let command = ChangeUser { user, command: UserCommand::SignOutEverywhere };
    let done = app.executor.execute(&command, metadata).await?;
    app.end_all(user, &done.output).await;
    app.own_writes.note(user, done.position);
    Ok(done.position)
}

/// Whose refresh token was sent. For one that is good no more the same follows as at any sign-out.
async fn owner(app: &App, context: Context, headers: &HeaderMap) -> Result<UserId, Problem> {
    let metadata = context.anonymous();
    let presented = presented(app, headers, &metadata).await?;
    match commands::owner_of(&app.executor, &app.refresh_tokens, &presented).await? {
        Some(user) => Ok(user),
        None => Ok(sign_out(app, &presented, metadata).await?.0),
    }
}

/// The public keys with which anybody can check our access tokens.
pub(super) async fn jwks(State(app): State<App>) -> Json<Value> {
    Json(app.access_tokens.keys.jwks())
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Busy => Self::Busy,
            SignInError::NoRandomness => Self::Internal("the system gives no random bytes"),
            SignInError::Token(_) => Self::Internal("a new token's stream was not new"),
            SignInError::User(_) => Self::Internal("an account could not keep a hash of its own password"),
            SignInError::Store(error) => Self::Store(error),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::NoSuccessor => Self::Internal("a successor could not be made"),
            RefreshError::Token(_) => Self::Internal("a sign-in that was looked at was not there"),
            RefreshError::Store(error) => Self::Store(error),
        }
    }
}
