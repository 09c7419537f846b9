//! Which handler answers which path, and for whom.

mod access;
mod admin;
mod attachments;
mod audit;
mod branching;
pub(crate) mod chat;
mod cookie;
mod dialects;
mod documents;
pub(crate) mod download;
mod embedding;
mod export;
pub(crate) mod frames;
pub(crate) mod health;
mod import;
mod keys;
mod limits_usage;
mod me;
mod messages;
mod metrics;
mod openai;
pub(crate) mod pages;
pub(crate) mod positioned;
pub(crate) mod posting;
mod rate_limit;
pub(crate) mod replies;
pub(crate) mod replying;
mod search;
mod sessions;
mod shown;
pub(crate) mod sign_in;
mod socket;
pub(crate) mod streams;
mod usage;
pub(crate) mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use axum::{Extension, Router};
use domain::values::{Role, Scope};
use tower_http::catch_panic::CatchPanicLayer;

pub use access::Access;
use access::Guarded;
pub(crate) use socket::Sockets;

use crate::Surface;
use crate::app::App;
use crate::caller::ShownIn;
use crate::dialects::{Dialect, s0, speak};
use crate::layers::{self, Count, Counting};
use crate::limits;
use crate::origins;
use crate::problem::Problem;

/// The longest message that any path takes, each character escaped.
const BODY_LIMIT: usize = 512 << 10;

pub(crate) fn router(app: App, surface: Surface, sockets: Sockets) -> Router {
    let counts = table().into_iter().map(|route| (route.path, route.count)).collect();
    let spoken = table().into_iter().map(|route| (route.path, route.dialect)).collect();
    let shown = table().into_iter().filter(|route| surface == Surface::All || route.is_probe);
    let routes = shown.fold(Router::new(), |router, Route { path, access, handler, is_long, shown_in, .. }| {
        let guarded = Guarded { app: app.clone(), access, shown_in };
        let handler = handler.route_layer(from_fn_with_state(guarded, access::guard));
        router.route(path, if is_long { handler } else { handler.layer(from_fn(layers::limit_time)) })
    });
    let routes = routes
        .fallback(async || Problem::NoSuchRoute)
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .layer(Extension(sockets))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(Counting { app: app.clone(), counts: Arc::new(counts) }, layers::count))
        .layer(from_fn_with_state(Arc::new(spoken), speak))
        .layer(from_fn(limits::show));
    let routes = routes.layer(from_fn_with_state(app.origins.clone(), origins::tell));
    let routes = routes.layer(from_fn(layers::secure)).layer(from_fn(layers::trace)).with_state(app);
    // Around the routes: which one it is follows from the path.
    Router::new().fallback_service(routes).layer(from_fn(layers::trim_slash))
}

/// Every route there is, and who may use it.
#[must_use]
pub fn routes() -> Vec<(Method, &'static str, Access)> {
    table().into_iter().map(|route| (route.method, route.path, route.access)).collect()
}

struct Route {
    method: Method,
    path: &'static str,
    access: Access,
    handler: MethodRouter<App>,
    /// Answered by every process, whatever its roles.
    is_probe: bool,
    /// Answers when a reply has ended, or a file has come, however long that takes.
    is_long: bool,
    count: Count,
    shown_in: ShownIn,
    /// In whose words it refuses.
    dialect: Dialect,
}

fn route(method: Method, path: &'static str, access: Access, handler: MethodRouter<App>) -> Route {
    let (shown_in, dialect) = (ShownIn::Headers, Dialect::Canonical);
    Route { method, path, access, handler, is_probe: false, is_long: false, count: Count::First, shown_in, dialect }
}

fn table() -> Vec<Route> {
    let canonical = [probes(), documents(), users(), management(), chat_routes(), conversations()];
    let dialects = [
        (dialects::s0(), Dialect::S0),
        (dialects::s1(), Dialect::S1),
        (dialects::s4(), Dialect::S4),
        (openai::routes(), Dialect::OpenAi),
    ];
    let dialects = dialects.map(|(routes, dialect)| routes.into_iter().map(|it| Route { dialect, ..it }).collect());
    canonical.into_iter().chain(dialects).flatten().collect()
}

fn probes() -> Vec<Route> {
    let probe = |path, handler| Route {
        is_probe: true,
        count: Count::Never,
        ..route(Method::GET, path, Access::Public, handler)
    };
    vec![
        probe("/live", get(health::live)),
        probe("/ready", get(health::ready)),
        probe("/api/v1/health", get(health::health)),
        probe("/healthz", get(health::answers)),
        probe("/health", get(s0::health)),
        // It looks itself at who asks.
        probe("/metrics", get(metrics::show)),
    ]
}

/// What all of this is, for programs and for people.
fn documents() -> Vec<Route> {
    let document = |path, handler| route(Method::GET, path, Access::Public, handler);
    vec![
        document("/openapi.json", get(documents::openapi)),
        document("/docs", get(documents::docs)),
        document("/docs/{file}", get(documents::docs_file)),
        document("/redoc", get(documents::redoc)),
        document("/redoc/{file}", get(documents::redoc_file)),
    ]
}

/// Accounts, and what proves who somebody is.
fn users() -> Vec<Route> {
    const ACCOUNT: Access = Access::User(Scope::Account);
    vec![
        route(Method::GET, "/.well-known/jwks.json", Access::Public, get(sign_in::jwks)),
        route(Method::POST, "/api/v1/users/register", Access::Public, post(users::register)),
        route(Method::POST, "/api/v1/users/login", Access::Public, post(sign_in::login)),
        route(Method::POST, "/api/v1/users/refresh-token", Access::Public, post(sign_in::refresh)),
        route(Method::POST, "/api/v1/users/logout", Access::Public, post(sign_in::logout)),
        route(Method::POST, "/api/v1/users/logout-all", Access::Public, post(sign_in::logout_all)),
        route(Method::GET, "/api/v1/users/me", ACCOUNT, get(me::show)),
        route(Method::PATCH, "/api/v1/users/me", ACCOUNT, patch(me::change_profile)),
        route(Method::POST, "/api/v1/users/me/password", ACCOUNT, post(me::change_password)),
        route(Method::GET, "/api/v1/users/me/sign-ins", ACCOUNT, get(me::sign_ins)),
        route(Method::DELETE, "/api/v1/users/me/sign-ins/{id}", ACCOUNT, delete(me::end_sign_in)),
        route(Method::GET, "/api/v1/keys", Access::User(Scope::Keys), get(keys::list)),
        route(Method::POST, "/api/v1/keys", Access::User(Scope::Keys), post(keys::create)),
        route(Method::DELETE, "/api/v1/keys/{id}", Access::User(Scope::Keys), delete(keys::revoke)),
        route(Method::POST, "/api/v1/keys/{id}/rotate", Access::User(Scope::Keys), post(keys::rotate)),
    ]
}

/// What auditors and administrators do.
fn management() -> Vec<Route> {
    const ADMIN: Access = Access::Role(Role::Admin, Scope::Admin);
    vec![
        route(Method::GET, "/api/v1/audit/tokens", Access::User(Scope::Audit), get(audit::tokens)),
        route(Method::GET, "/api/v1/users/{user}", ADMIN, get(admin::show)),
        route(Method::POST, "/api/v1/users/{user}/disable", ADMIN, post(admin::disable)),
        route(Method::POST, "/api/v1/users/{user}/enable", ADMIN, post(admin::enable)),
        route(Method::PUT, "/api/v1/users/{user}/roles/{role}", ADMIN, put(admin::grant)),
        route(Method::DELETE, "/api/v1/users/{user}/roles/{role}", ADMIN, delete(admin::revoke)),
    ]
}

fn chat_routes() -> Vec<Route> {
    let (read, write) = (Access::User(Scope::ChatRead), Access::User(Scope::ChatWrite));
    let turn = |path, handler| Route { count: Count::WithItsTurn, ..route(Method::POST, path, write, handler) };
    vec![
        Route { is_long: true, ..turn("/api/v1/chat", post(chat::post)) },
        turn("/api/v1/chat/stream", post(streams::post)),
        Route { shown_in: ShownIn::Address, ..route(Method::GET, "/api/v1/chat/ws", write, get(socket::open)) },
        route(Method::POST, "/api/v1/chat/ws-ticket", write, post(socket::ticket)),
        turn("/api/v1/chat/background", post(replies::begin_task)),
        route(Method::GET, "/api/v1/chat/tasks", read, get(replies::tasks)),
        route(Method::GET, "/api/v1/chat/tasks/{id}", read, get(replies::task)),
        route(Method::POST, "/api/v1/chat/tasks/{id}/cancel", write, post(replies::cancel)),
        route(Method::POST, "/api/v1/chat/tasks/{id}/retry", write, post(replies::retry)),
        route(Method::GET, "/api/v1/messages/{id}/stream", read, get(streams::resume)),
        route(Method::POST, "/api/v1/messages/{id}/stop", write, post(replies::stop)),
        route(Method::GET, "/api/v1/models", read, get(replies::models)),
        Route { count: Count::Never, ..route(Method::GET, "/api/v1/chat/rate-limit", read, get(rate_limit::show)) },
        route(Method::GET, "/api/v1/chat/history", read, get(chat::history)),
        route(Method::DELETE, "/api/v1/chat/history", write, delete(chat::clear_history)),
        route(Method::GET, "/api/v1/usage", read, get(usage::show)),
        route(Method::GET, "/api/v1/usage/limits", read, get(limits_usage::show)),
    ]
}

/// What was said, and where it is kept.
fn conversations() -> Vec<Route> {
    let (read, write) = (Access::User(Scope::ChatRead), Access::User(Scope::ChatWrite));
    vec![
        route(Method::GET, "/api/v1/sessions", read, get(sessions::list)),
        route(Method::POST, "/api/v1/sessions", write, post(sessions::create)),
        route(Method::GET, "/api/v1/sessions/{id}", read, get(sessions::show)),
        route(Method::PATCH, "/api/v1/sessions/{id}", write, patch(sessions::change)),
        route(Method::DELETE, "/api/v1/sessions/{id}", write, delete(sessions::delete)),
        route(Method::GET, "/api/v1/sessions/{id}/messages", read, get(messages::list)),
        route(Method::POST, "/api/v1/sessions/{id}/messages", write, post(messages::add)),
        route(Method::GET, "/api/v1/sessions/{id}/export", read, get(export::session)),
        route(Method::GET, "/api/v1/export", read, get(export::everything)),
        Route { is_long: true, ..route(Method::POST, "/api/v1/import", write, post(import::import)) },
        route(Method::PUT, "/api/v1/sessions/{id}/branch", write, put(branching::choose)),
        route(Method::POST, "/api/v1/search", read, post(search::search)),
        route(Method::GET, "/api/v1/messages/{id}", read, get(messages::show)),
        route(Method::DELETE, "/api/v1/messages/{id}", write, delete(messages::delete)),
        route(Method::POST, "/api/v1/messages/{id}/edit", write, post(branching::edit)),
        route(Method::POST, "/api/v1/messages/{id}/regenerate", write, post(branching::regenerate)),
        route(Method::PUT, "/api/v1/messages/{id}/rating", write, put(messages::rate)),
        route(Method::PUT, "/api/v1/messages/{id}/embedding", write, put(embedding::put)),
        route(Method::GET, "/api/v1/messages/{id}/attachments", read, get(attachments::list)),
        Route {
            is_long: true,
            ..route(Method::POST, "/api/v1/messages/{id}/attachments", write, post(attachments::upload))
        },
        route(Method::GET, "/api/v1/attachments/{id}", read, get(attachments::download)),
        route(Method::DELETE, "/api/v1/attachments/{id}", write, delete(attachments::remove)),
    ]
}
