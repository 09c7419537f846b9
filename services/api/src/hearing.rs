//! `a request's body ─▶ its handler`: whether it is still coming when time is up, so that its client is slow and not we are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;

use crate::problem::Problem;

/// Whether the body of a request is just being heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hearing(Arc<AtomicBool>);

impl Hearing {
    /// What whoever reads the body finds with the request.
    pub(crate) fn of(request: &Request) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Hears the body. Who gives up meanwhile leaves it unheard.
    pub(crate) async fn hear<T>(&self, body: impl Future<Output = T>) -> T {
        self.0.store(true, Ordering::Relaxed);
        let heard = body.await;
        self.0.store(false, Ordering::Relaxed);
        heard
    }

    /// Why there is no answer in time.
    pub(crate) fn late(&self) -> Problem {
        if self.0.load(Ordering::Relaxed) { Problem::SlowBody } else { Problem::TooSlow }
    }
}
