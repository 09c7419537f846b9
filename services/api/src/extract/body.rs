//! A JSON body; what is wrong with it is said without repeating it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::hearing::Hearing;
use crate::problem::Problem;

/// How long a client may take to send a body; where an answer has a limit, it ends with that.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::NotJson);
        }
        let bytes = read(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| unfit(&error))
    }
}

pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let hearing = Hearing::of(&request);
    let bytes = timeout(LONGEST, hearing.hear(Bytes::from_request(request, state))).await;
    bytes.map_err(|_| Problem::SlowBody)?.map_err(unread)
}

/// A body that may be left out: then no type is said either.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

pub(crate) fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn unread(rejection: BytesRejection) -> Problem {
    use axum::response::IntoResponse;
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::TooLarge
    } else {
        Problem::BadBody
    }
}

/// `serde_json` quotes what it found; only the names of missing fields are ours.
pub(crate) fn unfit(error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let said = error.to_string();
            let missing = said.strip_prefix("missing field ").and_then(|rest| rest.split('`').nth(1));
            let message = missing.map_or_else(
                || format!("a field has the wrong type, at line {} column {}", error.line(), error.column()),
                |name| format!("the field {name} is missing"),
            );
            Problem::invalid("body", message)
        }
        Category::Io | Category::Syntax | Category::Eof => Problem::BadJson,
    }
}
