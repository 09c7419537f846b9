//! Who sent a request, from where: what the log keeps beside each event.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use domain::Metadata;
use domain::ids::{ApiKeyId, TokenId, UserId};

use crate::app::App;
use crate::request_id::RequestId;

#[derive(Debug, Clone)]
pub(crate) struct Context(Metadata);

/// How much of a user agent's name is kept.
const LONGEST_AGENT: usize = 256;

impl Context {
    pub(crate) fn of(parts: &Parts, app: &App) -> Self {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
        let ip = peer.map(|peer| app.trusted_proxies.client(peer, forwarded).to_string());
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let user_agent = agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect());
        let node = Some(app.node.clone());
        Self(Metadata { request_id, ip, user_agent, node, ..Metadata::default() })
    }

    /// For a command of somebody who is not signed in, or not yet.
    pub(crate) fn anonymous(self) -> Metadata {
        self.0
    }

    pub(crate) fn by(self, user: UserId, session: Option<TokenId>, key: Option<ApiKeyId>) -> Metadata {
        Metadata { user: Some(user), session, key, ..self.0 }
    }
}

impl FromRequestParts<App> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}
