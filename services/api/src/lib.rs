//! `HTTP request ─▶ command` and `query ─▶ HTTP response`: one file for each resource.

mod access_token;
mod app;
mod commands;
mod extract;
mod layers;
mod own_writes;
mod passwords;
mod problem;
mod request_id;
mod routes;
mod time;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access_token::{AccessTokens, SecretKey, ShortSecret};
pub use app::{App, Parts};
pub use own_writes::OwnWrites;
pub use passwords::Passwords;

/// What a process answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    All,
    /// Whether it lives and is ready: a process without the role `api`.
    Probes,
}

/// Serves until told to stop; then lets the requests end that have begun.
pub async fn run(
    app: App,
    surface: Surface,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let service = routes::router(app, surface).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
