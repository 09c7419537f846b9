//! The id under which a request is found in logs, events and problems.

use axum::extract::Request;
use axum::http::HeaderName;
use store::fresh_id;
use uuid::Uuid;

/// The client's id, where it sent a decent one; else a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

impl RequestId {
    pub(crate) fn of(request: &Request) -> Self {
        let sent = request.headers().get(&HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_decent(id));
        Self(sent.map_or_else(|| fresh_id::<Uuid>().to_string(), str::to_owned))
    }
}

fn is_decent(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Answers a request, all of it knowing the id.
pub(crate) async fn known<T>(id: String, answer: impl Future<Output = T>) -> T {
    CURRENT.scope(id, answer).await
}

/// The id of the request that is being answered.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}
