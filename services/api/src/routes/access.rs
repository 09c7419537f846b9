//! Who may use which route: said where the route is, and looked at before its handler runs.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::values::{Role, Scope};

use crate::app::App;
use crate::caller::{Caller, ShownIn};
use crate::problem::Problem;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing; or the handler itself looks at a secret that was sent.
    Public,
    /// Any user; a key for programs needs the scope.
    User(Scope),
    /// A user with a role; a key needs the scope, too.
    Role(Role, Scope),
}

/// What a route's guard knows.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) app: App,
    pub(super) access: Access,
    pub(super) shown_in: ShownIn,
}

/// Lets a request through with its [`Caller`], or answers it.
pub(super) async fn guard(
    State(guarded): State<Guarded>,
    named: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    // What is no text names nothing that there is.
    if matches!(named, Err(RawPathParamsRejection::InvalidUtf8InPathParam(_))) {
        return Problem::NoSuchRoute.into_response();
    }
    let Guarded { app, access, shown_in } = guarded;
    let (scope, role) = match access {
        Access::Public => return next.run(request).await,
        Access::User(scope) => (scope, None),
        Access::Role(role, scope) => (scope, Some(role)),
    };
    app.passwords.make_room_for_others();
    let (mut parts, body) = request.into_parts();
    match Caller::admit(&app, &parts, shown_in, scope, role).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => Problem::into_response(problem),
    }
}
