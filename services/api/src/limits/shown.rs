//! What every answer says of the limits that its request counted in: `RateLimit-Policy` and `RateLimit`.

use std::cell::RefCell;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::limit::Rate;
use domain::token::notice::LimitKind;
use serde::Serialize;
use tracing::Instrument;

use super::Standing;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What is known of a request's limits while it is answered.
#[derive(Default)]
struct Known {
    told: Vec<Standing>,
    /// The address for which it has still to be counted.
    owed: Option<String>,
}

tokio::task_local! {
    static KNOWN: RefCell<Known>;
}

/// Notes how windows stand, for the answer to the request that is being answered, if one is.
pub(crate) fn tell(standings: Vec<Standing>) {
    // What comes over a socket has no headers.
    let _ = KNOWN.try_with(|known| known.borrow_mut().told.extend(standings));
}

/// A place in each of these windows is free again.
pub(super) fn take_back(of: impl Fn(LimitKind) -> bool) {
    let _ = KNOWN.try_with(|known| {
        for standing in known.borrow_mut().told.iter_mut().filter(|it| of(it.kind)) {
            *standing = standing.without(1);
        }
    });
}

/// The request is counted for its address with whatever else it counts for: one decision is as dear as another.
pub(crate) fn owe(ip: String) {
    let _ = KNOWN.try_with(|known| known.borrow_mut().owed = Some(ip));
}

/// The address that the request has still to be counted for.
pub(crate) fn owed() -> Option<String> {
    KNOWN.try_with(|known| known.borrow_mut().owed.take()).ok().flatten()
}

/// Does something that goes on whatever becomes of who asks for it, with what is known of the request's limits; `None` where
/// it panicked.
pub(crate) async fn go_on<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let known = KNOWN.try_with(RefCell::take).unwrap_or_default();
    let all = async { (work.await, KNOWN.with(RefCell::take)) };
    let task = tokio::spawn(KNOWN.scope(RefCell::new(known), all).in_current_span());
    let (done, known) = task.await.ok()?;
    let _ = KNOWN.try_with(|here| here.replace(known));
    Some(done)
}

/// Answers a request, and says what it counted in.
pub(crate) async fn show(request: Request, next: Next) -> Response {
    let (mut response, told) = KNOWN
        .scope(RefCell::default(), async {
            let response = next.run(request).await;
            (response, KNOWN.with(RefCell::take).told)
        })
        .await;
    for (name, text) in [(POLICY, joined(&told, Standing::policy)), (LIMIT, joined(&told, Standing::left))] {
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn joined(all: &[Standing], shown: fn(&Standing) -> String) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(shown).collect::<Vec<_>>().join(", "))
}

impl Standing {
    fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.kind, self.rate.most, self.rate.seconds())
    }

    fn left(&self) -> String {
        format!("\"{}\";r={};t={}", self.kind, self.remaining(), self.eases_in)
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rate.most().saturating_sub(self.used)
    }
}

/// A window as the API shows it; nulls where there is no limit.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    current: usize,
    limit: Option<u32>,
    remaining: Option<usize>,
    window: Option<String>,
    window_seconds: Option<u32>,
    /// In how many seconds one fewer counts.
    eases_in: Option<u32>,
}

impl From<Option<Standing>> for Shown {
    fn from(standing: Option<Standing>) -> Self {
        let rate = standing.map(|it| it.rate);
        Self {
            current: standing.map_or(0, |it| it.used),
            limit: rate.map(|rate| rate.most.get()),
            remaining: standing.map(|it| it.remaining()),
            window: rate.map(|rate| format!("1 {}", rate.unit.as_str())),
            window_seconds: rate.map(Rate::seconds),
            eases_in: standing.map(|it| it.eases_in),
        }
    }
}
