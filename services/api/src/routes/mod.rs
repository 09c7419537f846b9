//! Which handler answers which path.

mod chat;
mod health;
mod positioned;
mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::Surface;
use crate::app::App;
use crate::layers;
use crate::problem::Problem;

/// The longest message that any path takes, each character escaped.
const BODY_LIMIT: usize = 512 << 10;

pub(crate) fn router(app: App, surface: Surface) -> Router {
    let routes = match surface {
        Surface::All => probes().merge(resources()),
        Surface::Probes => probes(),
    };
    routes
        .fallback(async || Problem::NoSuchRoute)
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn(layers::limit_time))
        .layer(from_fn(layers::secure))
        .layer(from_fn(layers::trace))
        .with_state(app)
}

fn probes() -> Router<App> {
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/api/v1/health", get(health::health))
}

fn resources() -> Router<App> {
    Router::new()
        .route("/api/v1/users/register", post(users::register))
        .route("/api/v1/users/login", post(users::login))
        .route("/api/v1/chat", post(chat::post))
        .route("/api/v1/chat/history", get(chat::history).delete(chat::clear_history))
}
