//! `/api/v1/chat/ws`: messages and replies over one socket, several replies at once.
//!
//! Nothing is queued for a client: a frame is made when the one before it has gone out, so that one that reads slowly gets
//! fewer and longer pieces, and holds up nobody else.

mod asked;
mod close;
mod running;
mod talk;

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Json, State};
use axum::response::Response;
use serde::Serialize;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use self::close::Close;
use self::talk::Talk;
use super::positioned::Secret;
use crate::app::App;
use crate::extract::Caller;
use crate::problem::{Problem, SocketProblem};
use crate::{request_id, tickets};

/// The longest frame, as long as the longest body.
const LONGEST: usize = super::BODY_LIMIT;
/// How often it is looked whether the caller may still be here.
const LOOK: Duration = Duration::from_millis(250);

/// The sockets of this process, and what closes them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    closing: CancellationToken,
    open: TaskTracker,
}

impl Sockets {
    pub(crate) fn until(closing: CancellationToken) -> Self {
        Self { closing, open: TaskTracker::new() }
    }

    /// Set when the process is about to end.
    pub(crate) const fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Waits until all have gone that were told to.
    pub(crate) async fn are_closed(&self) {
        self.open.close();
        self.open.wait().await;
    }
}

#[derive(Serialize)]
pub(super) struct Ticket {
    ticket: String,
    expires_in: u32,
}

/// `POST /api/v1/chat/ws-ticket`: for a browser, which can't send a header with a socket.
pub(super) async fn ticket(State(app): State<App>, caller: Caller) -> Result<Secret<Json<Ticket>>, Problem> {
    let ticket = tickets::issue(&app, &caller).await?;
    Ok(Secret(Json(Ticket { ticket, expires_in: tickets::LIFETIME_SECONDS })))
}

/// `GET /api/v1/chat/ws`. Whatever page opened it: no cookie is asked for, so that none can be abused.
pub(super) async fn open(
    State(app): State<App>,
    caller: Caller,
    Extension(sockets): Extension<Sockets>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| SocketProblem::NotAsked)?.max_message_size(LONGEST).max_frame_size(LONGEST);
    let (span, id, open) = (Span::current(), request_id::current().unwrap_or_default(), sockets.open.token());
    Ok(upgrade.on_upgrade(async move |socket| {
        request_id::known(id, serve(socket, app, caller, sockets.closing)).instrument(span).await;
        drop(open);
    }))
}

async fn serve(mut socket: WebSocket, app: App, caller: Caller, closing: CancellationToken) {
    let close = tokio::select! {
        close = Talk::of(app.clone(), caller.clone()).run(&mut socket) => close,
        () = revoked(&app, &caller) => Close::SignedOut,
        () = closing.cancelled() => Close::Restart,
    };
    tracing::debug!(?close, "a socket ends");
    close::close(socket, close).await;
}

/// Waits until what was shown is taken back.
async fn revoked(app: &App, caller: &Caller) {
    let mut looks = interval(LOOK);
    while caller.is_still_in(app) {
        looks.tick().await;
    }
}
