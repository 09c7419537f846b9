//! `HTTP request ─▶ command` and `query ─▶ HTTP response`: one file for each resource.

pub mod activity;
mod api_keys;
mod app;
mod caller;
mod client_address;
mod commands;
mod connections;
mod dialects;
mod extract;
mod files;
mod hearing;
mod imports;
mod layers;
mod limits;
mod metrics;
mod money;
mod openai;
mod operator;
mod origins;
mod own_writes;
mod passwords;
mod portable;
mod problem;
mod reckoning;
mod request_id;
mod routes;
mod throttle;
mod tickets;
mod time;
mod tokens;
mod turns;
mod unknown_tokens;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use api_keys::{ApiKeys, BootstrapKey};
pub use app::{App, NewPasswords, Parts};
pub use client_address::{NotProxies, TrustedProxies};
pub use commands::find_user;
use connections::Places;
pub use files::{Bucket, Files, FilesError, Patience, Place, SweepError};
pub use imports::Imports;
pub use limits::{Budgets, RateLimits, Rates};
pub use metrics::{Metrics, MetricsLogin};
pub use operator::{DEV_ADMIN, DEV_PASSWORD, NewUser, Operator, OperatorError};
pub use origins::{NotOrigins, Origins};
pub use own_writes::OwnWrites;
pub use passwords::Passwords;
use routes::Sockets;
pub use routes::{Access, routes};
pub use throttle::{Admission, Guess, Throttle, Ticket};
pub use tokens::{
    AccessTokens, Algorithm, Followers, RefreshTokens, Revocations, SecretKey, ShortSecret, SigningError, SigningKeys,
};
pub use unknown_tokens::UnknownTokens;

/// What a process answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    All,
    /// Whether it lives and is ready, and what it counts: a process without the role `api`.
    Probes,
}

/// Serves until told to stop; then lets the requests end that have begun.
pub async fn run(app: App, surface: Surface, listener: TcpListener, shutdown: CancellationToken) {
    let sockets = Sockets::until(shutdown.clone());
    let places = Places::of_this_process(app.trusted_proxies.clone());
    let router = routes::router(app, surface, sockets.clone());
    connections::serve(listener, router, places, connections::Patience::default(), shutdown).await;
    sockets.are_closed().await;
}
