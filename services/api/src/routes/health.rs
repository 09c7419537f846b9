//! `/live`, `/ready`, `/api/v1/health`: whether to send requests here, and what is amiss.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde::Serialize;
use store::{Position, StoreError};

use crate::app::App;
use crate::problem::RETRY_AFTER;

#[derive(Serialize)]
pub(crate) struct Live {
    status: &'static str,
}

pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "alive" })
}

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    db: &'static str,
}

pub(super) async fn health(State(app): State<App>) -> Json<Health> {
    Json(if is_up(&app).await { Health { status: "ok", db: "ok" } } else { Health { status: "error", db: "down" } })
}

/// Whether the log's database answers.
pub(crate) async fn is_up(app: &App) -> bool {
    within_patience(app.log.db().ping()).await.is_some()
}

/// `GET /healthz`.
pub(crate) async fn answers() -> Json<Live> {
    Json(Live { status: "ok" })
}

#[derive(Serialize)]
pub(super) struct Ready {
    status: &'static str,
    /// What does not work, while posts go on.
    degraded: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Position>,
    projections: Vec<ProjectionState>,
}

#[derive(Serialize)]
struct ProjectionState {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck_at: Option<Position>,
}

/// Ready is who can serve posts: whoever has the log.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let positions = app.read_models.all().map(|model| within_patience(model.position()));
    let (head, positions) = tokio::join!(within_patience(app.log.head()), join_all(positions));
    let models = app.read_models.all().into_iter().zip(positions);
    let projections: Vec<_> = models.map(|(model, position)| projection(&app, model.name(), head, position)).collect();
    let mut degraded = Vec::new();
    if !app.bus.is_connected() {
        degraded.push("nats");
    }
    if !app.revocations.are_followed() {
        degraded.push("revocations");
    }
    if app.limits.are_local() {
        degraded.push("limits");
    }
    degraded.extend(projections.iter().filter(|it| it.stuck_at.is_some()).map(|it| it.name));
    if head.is_some() && !app.log.has_ended() {
        return Json(Ready { status: "ready", degraded, head, projections }).into_response();
    }
    let answer = Json(Ready { status: "not ready", degraded, head, projections });
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], answer).into_response()
}

fn projection(app: &App, name: &'static str, head: Option<Position>, position: Option<Position>) -> ProjectionState {
    let lag = head.zip(position).map(|(head, position)| (head.get() - position.get()).max(0));
    let state = app.projections.iter().find(|(of, _)| *of == name).map(|(_, state)| state.borrow().clone());
    let stuck_at = state.and_then(|state| match state {
        projector::State::Stuck { at, reason: _ } => Some(at),
        projector::State::Standby | projector::State::Running => None,
    });
    ProjectionState { name, position, lag, stuck_at }
}

/// How long a probe waits for a database.
const PATIENCE: Duration = Duration::from_secs(1);

async fn within_patience<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
}
