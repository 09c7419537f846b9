//! The signed-in user who is asking.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use domain::Metadata;
use domain::ids::UserId;

use super::Context;
use crate::access_token::Bearer;
use crate::app::App;
use crate::problem::Problem;

#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) metadata: Metadata,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer_token(parts).ok_or(Problem::NotAuthenticated)?;
        let Bearer { user, session } = app.access_tokens.check(token, app.clock().now()).ok_or(Problem::BadToken)?;
        let Ok(context) = Context::from_request_parts(parts, app).await;
        Ok(Self { user, metadata: context.by(user, session) })
    }
}

fn bearer_token(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
