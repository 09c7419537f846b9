//! Where OpenAI's own clients ask.

use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::routing::{get, post};
use domain::values::Scope;

use super::{Access, Route, route};
use crate::caller::ShownIn;
use crate::layers::Count;
use crate::openai::{completions, embeddings, models};

/// The longest body that brings a whole conversation along.
const LONGEST: usize = 1 << 20;

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Access::User(Scope::ChatRead), Access::User(Scope::ChatWrite));
    // Both may ask a provider, however long that takes.
    let turn =
        |path, handler| Route { is_long: true, count: Count::WithItsTurn, ..route(Method::POST, path, write, handler) };
    let routes = [
        turn("/v1/chat/completions", post(completions::create).layer(DefaultBodyLimit::max(LONGEST))),
        turn("/v1/embeddings", post(embeddings::create)),
        route(Method::GET, "/v1/models", read, get(models::list)),
        // Names have slashes.
        route(Method::GET, "/v1/models/{*id}", read, get(models::show)),
    ];
    routes.map(|route| Route { shown_in: ShownIn::KeyAsBearer, ..route }).into()
}
