//! How OpenAI says no: `{error: {message, type, param, code}}`.

use axum::http::StatusCode;
use serde::Serialize;

use crate::problem::{FieldError, MISSING, Told};

/// The body of every refusal, and the last piece of a stream that breaks off.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    error: Refused,
}

#[derive(Debug, Serialize)]
struct Refused {
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
}

/// With which status, and in which words.
pub(crate) fn refusal(status: StatusCode, told: &Told) -> (StatusCode, Refusal) {
    let status = status_of(status, told.code);
    let (r#type, code) = words(status, told);
    let param = told.errors.first().map(|error| error.field).filter(|field| !["body", "query"].contains(field));
    (status, Refusal { error: Refused { message: message(told), r#type, param, code } })
}

fn status_of(status: StatusCode, code: &str) -> StatusCode {
    match status {
        StatusCode::UNPROCESSABLE_ENTITY if code == "unknown_model" => StatusCode::NOT_FOUND,
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        status => status,
    }
}

/// The type and the code; where OpenAI has no word for it, the canonical one is the code.
fn words(status: StatusCode, told: &Told) -> (&'static str, &'static str) {
    let is_missing = told.errors.first().is_some_and(|error| error.message == MISSING);
    match (status, told.code) {
        (StatusCode::TOO_MANY_REQUESTS, "budget_exceeded") => ("insufficient_quota", "insufficient_quota"),
        (StatusCode::TOO_MANY_REQUESTS, _) => ("requests", "rate_limit_exceeded"),
        (StatusCode::UNAUTHORIZED, _) => (REQUEST, "invalid_api_key"),
        (_, "unknown_model") => (REQUEST, "model_not_found"),
        (_, "invalid") if is_missing => (REQUEST, "missing_required_parameter"),
        (_, "invalid") => (REQUEST, "invalid_value"),
        (status, code) if status.is_server_error() => ("server_error", code),
        (_, code) => (REQUEST, code),
    }
}

const REQUEST: &str = "invalid_request_error";

/// There is but one text for all that is wrong.
fn message(told: &Told) -> String {
    let errors = told.errors.iter().map(|FieldError { field, message }| format!("{field}: {message}"));
    let errors: Vec<_> = errors.collect();
    if errors.is_empty() { told.detail.to_owned() } else { format!("{} {}", told.detail, errors.join("; ")) }
}
