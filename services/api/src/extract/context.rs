//! Who sent a request, from where: what the log keeps beside each event.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use domain::Metadata;
use domain::ids::{TokenId, UserId};

use crate::request_id::RequestId;

#[derive(Debug, Clone)]
pub(crate) struct Context(Metadata);

/// How much of a user agent's name is kept.
const LONGEST_AGENT: usize = 256;

impl Context {
    /// For a command of somebody who is not signed in, or not yet.
    pub(crate) fn anonymous(self) -> Metadata {
        self.0
    }

    pub(crate) fn by(self, user: UserId, session: TokenId) -> Metadata {
        Metadata { user: Some(user), session: Some(session), ..self.0 }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let ip = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string());
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let user_agent = agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect());
        Ok(Self(Metadata { request_id, user: None, session: None, ip, user_agent }))
    }
}
