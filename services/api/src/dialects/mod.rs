//! `a dialect's request ─▶ the canonical commands and queries ─▶ the dialect's answer`: three of the services whose place this
//! one takes. The other two are part of the canonical API.

mod chat;
mod refusal;
pub(crate) mod s0;
pub(crate) mod s1;
pub(crate) mod s4;
mod token;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::ids::UserId;
use domain::user::{Profile, User};

use crate::app::App;
use crate::problem::Problem;
pub(crate) use chat::chat;
use refusal::Place;

/// How a path speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Canonical,
    S0,
    S1,
    S4,
    OpenAi,
}

/// How each path speaks.
pub(crate) type Spoken = Arc<HashMap<&'static str, Dialect>>;

/// Lets each path refuse in its own words, whoever it is that refuses: a handler, a guard, a limit.
pub(crate) async fn speak(State(spoken): State<Spoken>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let dialect = path.and_then(|path| spoken.get(path).copied());
    let dialect = dialect.unwrap_or_else(|| Dialect::where_nothing_is(request.uri().path()));
    let place = Place::of(request.method());
    dialect.say(place, next.run(request).await)
}

impl Dialect {
    /// Whose client asks for a path that is not there.
    fn where_nothing_is(path: &str) -> Self {
        if path.starts_with("/v1/") { Self::OpenAi } else { Self::Canonical }
    }
}

/// Under which names somebody is known.
async fn profile(app: &App, user: UserId) -> Result<Profile, Problem> {
    let user = app.executor.look::<User>(user).await?;
    user.account().map(|account| account.profile.clone()).ok_or(Problem::NoSuchUser)
}

/// Who has no user name shows the email.
fn username(profile: Profile) -> String {
    profile.username.map(String::from).or_else(|| profile.email.map(String::from)).unwrap_or_default()
}
