//! Reading one's own writes: an answer says where its command stands, and a query waits for that.

use std::time::Duration;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ids::UserId;
use serde::Serialize;
use store::{Position, ReadModel, StoreError};

use crate::app::App;
use crate::problem::Problem;

pub(crate) const EVENT_POSITION: HeaderName = HeaderName::from_static("x-event-position");
const MIN_POSITION: HeaderName = HeaderName::from_static("x-min-position");
const PROJECTION_LAG: HeaderName = HeaderName::from_static("x-projection-lag");

/// How long a query waits for its read model.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command's answer, and where its last event stands in the log.
#[derive(Debug)]
pub(crate) struct Done<T>(pub(crate) Option<Position>, pub(crate) T);

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        if let Some(position) = self.0 {
            response.headers_mut().insert(EVENT_POSITION, HeaderValue::from(position.get()));
        }
        response
    }
}

/// An answer that holds a secret: nobody on the way keeps it.
#[derive(Debug)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T: IntoResponse> IntoResponse for Secret<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A command that has nothing to say but where its last event stands.
#[derive(Debug)]
pub(crate) struct NoContent(pub(crate) Option<Position>);

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(position) = self.0 {
            response.headers_mut().insert(EVENT_POSITION, HeaderValue::from(position.get()));
        }
        response
    }
}

/// A query's answer, and by how many events it is behind what it should have seen.
#[derive(Debug)]
pub(crate) struct Seen<T>(pub(crate) Lag, pub(crate) T);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lag(i64);

impl Lag {
    /// Of two read models that a query asks, the one that is further behind.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// For those who must have seen all: nothing may be missing.
    pub(crate) const fn none(self) -> Result<(), Problem> {
        if self.0 > 0 { Err(Problem::Lagging) } else { Ok(()) }
    }

    /// Says it with the answer, where there is any.
    pub(crate) fn mark(self, response: &mut Response) {
        if self.0 > 0 {
            response.headers_mut().insert(PROJECTION_LAG, HeaderValue::from(self.0));
        }
    }
}

impl<T: Serialize> IntoResponse for Seen<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        self.0.mark(&mut response);
        response
    }
}

/// What the client says that its query must have seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MinPosition(Position);

impl<S: Send + Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(&MIN_POSITION) else { return Ok(Self(Position::START)) };
        let position = header.to_str().ok().and_then(|text| text.parse().ok()).filter(|position| *position >= 0);
        let invalid = || Problem::invalid("X-Min-Position", "must be a position, as X-Event-Position gives it");
        position.map(|position| Self(Position::new(position))).ok_or_else(invalid)
    }
}

impl MinPosition {
    /// Waits until the read model has what the client asks for, and what this user last did on this node.
    pub(crate) async fn await_in(self, app: &App, model: &ReadModel, user: UserId) -> Result<Lag, StoreError> {
        let wanted = self.0.max(app.own_writes.of(user));
        if wanted == Position::START || model.wait_for(wanted, PATIENCE).await? {
            return Ok(Lag(0));
        }
        let reached = model.position().await?;
        Ok(Lag((wanted.get() - reached.get()).max(0)))
    }
}
