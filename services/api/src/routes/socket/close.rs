//! How a socket ends, and how its other end hears of it.

use std::future::pending;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;
use tungstenite::Error;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The client has closed it, or is not there any more.
    Gone,
    TooLong,
    NoText,
    BadFrame,
    /// What was shown to open it was taken back, or has expired.
    SignedOut,
    /// This process stops; another takes over.
    Restart,
}

/// How long the other end may take to read why, and to go.
const LINGER: Duration = Duration::from_secs(2);

impl Close {
    /// Of a frame that could not be read.
    pub(super) fn of(error: axum::Error) -> Self {
        let error = error.into_inner();
        match error.downcast_ref::<Error>() {
            Some(Error::Capacity(_)) => Self::TooLong,
            Some(Error::Utf8(_)) => Self::NoText,
            Some(Error::Protocol(_)) => Self::BadFrame,
            other => {
                tracing::debug!(cause = ?other, "a socket broke");
                Self::Gone
            }
        }
    }

    const fn said(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::TooLong => Some((1009, "too long")),
            Self::NoText => Some((1007, "not UTF-8")),
            Self::BadFrame => Some((1002, "not a frame")),
            Self::SignedOut => Some((4401, "not signed in")),
            Self::Restart => Some((1012, "restarting")),
        }
    }
}

/// Says why, and stays until the other end has gone: a socket that is dropped with something unread takes back what was
/// said last.
pub(super) async fn close(mut socket: WebSocket, close: Close) {
    let farewell = async {
        if let Some((code, reason)) = close.said() {
            let said = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
            if said.is_err() {
                return;
            }
        }
        while let Some(left) = socket.recv().await {
            match left.map_err(Close::of) {
                Ok(_) => {}
                // It will never be read.
                Err(Close::TooLong) => pending().await,
                Err(_) => return,
            }
        }
    };
    // Who does not go is left.
    let _ = timeout(LINGER, farewell).await;
}
