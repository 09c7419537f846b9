//! The paths of S0, S1 and S4, and for whom they are. S2's and S3's are the canonical ones.

use axum::http::Method;
use axum::routing::{delete, get, post};
use domain::values::Scope;

use super::{Access, Route, rate_limit, route, socket, streams};
use crate::caller::ShownIn;
use crate::dialects::{self, s0, s1, s4};
use crate::layers::Count;

/// `POST /chat` is S4's, too.
pub(super) fn s0() -> Vec<Route> {
    let (account, read) = (Access::User(Scope::Account), Access::User(Scope::ChatRead));
    let write = Access::User(Scope::ChatWrite);
    vec![
        route(Method::GET, "/", Access::Public, get(s0::root)),
        route(Method::POST, "/register", Access::Public, post(s0::register)),
        route(Method::POST, "/token", Access::Public, post(s0::token)),
        route(Method::GET, "/users/me", account, get(s0::me)),
        route(Method::GET, "/protected", account, get(s0::protected)),
        Route { is_long: true, count: Count::WithItsTurn, ..route(Method::POST, "/chat", write, post(dialects::chat)) },
        route(Method::GET, "/chat/history", read, get(s0::look_back)),
        route(Method::DELETE, "/chat/history", write, delete(s0::clear_history)),
        Route { count: Count::Never, ..route(Method::GET, "/chat/rate-limit", read, get(rate_limit::show)) },
    ]
}

pub(super) fn s1() -> Vec<Route> {
    let (account, read) = (Access::User(Scope::Account), Access::User(Scope::ChatRead));
    let write = Access::User(Scope::ChatWrite);
    let turn = |path, handler| Route { count: Count::WithItsTurn, ..route(Method::POST, path, write, handler) };
    vec![
        route(Method::POST, "/api/auth/register", Access::Public, post(s1::register)),
        route(Method::POST, "/api/auth/login", Access::Public, post(s1::login)),
        route(Method::GET, "/api/users/me", account, get(s1::me)),
        Route { is_long: true, ..turn("/api/chat", post(s1::chat)) },
        turn("/api/chat/stream", post(streams::post)),
        Route { shown_in: ShownIn::Address, ..route(Method::GET, "/api/chat/ws", write, get(socket::open)) },
        route(Method::GET, "/api/history", read, get(s1::list)),
    ]
}

pub(super) fn s4() -> Vec<Route> {
    let (read, write) = (Access::User(Scope::ChatRead), Access::User(Scope::ChatWrite));
    vec![
        route(Method::POST, "/auth/register", Access::Public, post(s4::register)),
        route(Method::POST, "/auth/login", Access::Public, post(s4::login)),
        Route { count: Count::WithItsTurn, ..route(Method::POST, "/chat/background", write, post(s4::begin_task)) },
        route(Method::GET, "/chat/tasks/{id}", read, get(s4::task)),
        route(Method::GET, "/conversations", read, get(s4::list)),
    ]
}
