//! How a dialect says no.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::token::notice::LimitKind;
use serde::Serialize;
use serde_json::{Value, json};

use super::Dialect;
use crate::limits::Refused;
use crate::openai;
use crate::problem::{FieldError, MISSING, Problem, Told};

/// Where a request has its fields.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Body,
    Query,
}

impl Place {
    pub(super) fn of(method: &Method) -> Self {
        if [Method::GET, Method::DELETE].contains(method) { Self::Query } else { Self::Body }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
        }
    }
}

/// The body of every refusal.
#[derive(Serialize)]
struct Refusal {
    detail: Value,
}

impl Dialect {
    /// Refuses what was asked in a body.
    pub(super) fn refuse(self, problem: Problem) -> Response {
        self.say(Place::Body, problem.into_response())
    }

    /// Says a problem in the dialect's own form; what is no problem stays as it is.
    pub(super) fn say(self, place: Place, mut response: Response) -> Response {
        if self == Self::Canonical {
            return response;
        }
        let Some(told) = response.extensions_mut().remove::<Told>() else { return response };
        let (mut parts, _) = response.into_parts();
        let body = if self == Self::OpenAi {
            let (status, body) = openai::refusal(parts.status, &told);
            parts.status = status;
            json!(body)
        } else {
            parts.status = self.status(parts.status);
            json!(Refusal { detail: self.detail(parts.status, &told, place) })
        };
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(body.to_string()))
    }

    fn status(self, status: StatusCode) -> StatusCode {
        match (self, status) {
            (Self::Canonical | Self::OpenAi, status) => status,
            // A name that is taken.
            (_, StatusCode::CONFLICT) => StatusCode::BAD_REQUEST,
            (Self::S0 | Self::S4, StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            (Self::S1, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
                StatusCode::BAD_REQUEST
            }
            (Self::S1, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => StatusCode::INTERNAL_SERVER_ERROR,
            (Self::S0 | Self::S1 | Self::S4, status) => status,
        }
    }

    fn detail(self, status: StatusCode, told: &Told, place: Place) -> Value {
        let limit = told.reached.as_ref().filter(|_| self == Self::S0).and_then(limit);
        if let Some(limit) = limit {
            return limit;
        }
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            return invalid(told, place);
        }
        match (told.code, told.errors.first()) {
            ("invalid_credentials", _) => json!("Incorrect username or password"),
            ("username_already_registered", _) => json!("Username already registered"),
            ("email_already_registered", _) => json!("Email already registered"),
            // Here a detail is a text, and has to say which field it was.
            (_, Some(FieldError { field, message })) => json!(format!("{field}: {message}")),
            _ => json!(told.detail),
        }
    }
}

/// What is wrong with each field, or else with the whole.
fn invalid(told: &Told, place: Place) -> Value {
    let whole = || json!([{"loc": [place.as_str()], "msg": told.detail, "type": told.code}]);
    if told.errors.is_empty() { whole() } else { told.errors.iter().map(|error| of_field(error, place)).collect() }
}

fn of_field(FieldError { field, message }: &FieldError, place: Place) -> Value {
    let location = match *field {
        "body" | "query" => json!([field]),
        // No field of a body has such a name.
        field if field.contains('-') => json!(["header", field]),
        field => json!([place.as_str(), field]),
    };
    let kind = if message == MISSING { "missing" } else { "value_error" };
    json!({"loc": location, "msg": message, "type": kind})
}

/// S0's own words for a limit of its own.
fn limit(refused: &Refused) -> Option<Value> {
    let (rate, retry_after) = (refused.limit.rate, refused.retry_after);
    let (most, unit) = (rate.most, rate.unit.as_str());
    match refused.limit.kind {
        LimitKind::User => Some(json!({
            "error": "User rate limit exceeded",
            "message": format!("You have reached your limit of {most} requests per {unit}. Please try again later."),
            "retry_after": retry_after,
            "current_usage": refused.limit.used,
            "limit": most,
        })),
        LimitKind::Service => Some(json!({
            "error": "Service-wide rate limit exceeded",
            "message": format!(
                "The service has reached its limit of {most} requests per {unit}. Please try again later."
            ),
            "retry_after": retry_after,
        })),
        LimitKind::Address | LimitKind::SignIn | LimitKind::Registration | LimitKind::Budget => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialect: Dialect, problem: Problem) -> (StatusCode, bool) {
        let response = dialect.refuse(problem);
        let kind = response.headers()[header::CONTENT_TYPE].clone();
        assert_eq!(kind, if dialect == Dialect::Canonical { "application/problem+json" } else { "application/json" });
        (response.status(), response.headers().contains_key(header::RETRY_AFTER))
    }

    #[test]
    fn what_passes_is_503_everywhere_and_says_when_to_come_again() {
        for dialect in [Dialect::Canonical, Dialect::S0, Dialect::S1, Dialect::S4] {
            for problem in [Problem::Busy, Problem::TooSlow, Problem::Lagging] {
                assert_eq!(said(dialect, problem), (StatusCode::SERVICE_UNAVAILABLE, true), "{dialect:?}");
            }
        }
    }

    #[test]
    fn who_sends_too_slowly_is_told_so_everywhere_and_not_when_to_come_again() {
        for dialect in [Dialect::Canonical, Dialect::S0, Dialect::S1, Dialect::S4, Dialect::OpenAi] {
            assert_eq!(said(dialect, Problem::SlowBody), (StatusCode::REQUEST_TIMEOUT, false), "{dialect:?}");
        }
    }

    #[test]
    fn each_has_its_status_for_what_is_not_valid() {
        let invalid = || Problem::Invalid(Vec::new());
        for (dialect, expected) in [(Dialect::S0, 422), (Dialect::S1, 400), (Dialect::S4, 422)] {
            for problem in [Problem::BadJson, Problem::NotJson, invalid()] {
                assert_eq!(said(dialect, problem).0.as_u16(), expected, "{dialect:?}");
            }
        }
    }

    #[test]
    fn what_is_no_problem_stays() {
        let answer = Dialect::S0.say(Place::Body, StatusCode::CONFLICT.into_response());
        assert_eq!(answer.status(), StatusCode::CONFLICT);
    }
}
