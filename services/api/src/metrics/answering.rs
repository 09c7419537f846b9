//! `request ─▶ one line in the log, and one in the metrics`: when it was answered, or when its client had gone before.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use metrics::{counter, histogram};

use super::families::{REQUEST_SECONDS, REQUESTS};

/// A request that is being answered.
pub(crate) struct Answering {
    begun: Instant,
    method: &'static str,
    route: String,
    is_told: bool,
}

/// What many servers note where nobody is there any more to be answered.
const GONE: u16 = 499;

impl Answering {
    pub(crate) fn begin(request: &Request) -> Self {
        let path = request.extensions().get::<MatchedPath>();
        let route = path.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
        Self { begun: Instant::now(), method: known(request.method()), route, is_told: false }
    }

    pub(crate) fn end(mut self, status: StatusCode) {
        tracing::info!(status = status.as_u16(), micros = self.micros(), "answered");
        self.count(status.as_u16());
    }

    /// A number in JSON, too, where longer ones are texts.
    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn count(&mut self, status: u16) {
        self.is_told = true;
        let (method, route) = (self.method, self.route.clone());
        counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string()).increment(1);
        // Of each route as a whole: each label more would be a histogram more.
        histogram!(REQUEST_SECONDS, "method" => method, "route" => route).record(self.begun.elapsed());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.is_told {
            tracing::info!(status = GONE, micros = self.micros(), "gone before it was answered");
            self.count(GONE);
        }
    }
}

/// A client may send any word as a method.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("other")
}
