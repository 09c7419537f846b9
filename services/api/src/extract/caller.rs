//! The caller whom the route's access let in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or(Problem::Internal("a public route asks who is calling"))
    }
}
