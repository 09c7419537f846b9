//! Everything that can be answered but success: RFC 9457 problems, and the one place that knows status codes.

mod embedding;
mod fields;
mod file;
mod limit;
mod reply;
mod session;
mod socket;
mod told;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ids::{ClaimKind, MessageId};
use serde::Serialize;
use serde_json::{Value, json};
use store::{StoreError, in_full};

use crate::money::Quantity;
use crate::passwords::Busy;
pub(crate) use embedding::EmbeddingProblem;
pub(crate) use fields::{Fields, MISSING};
pub(crate) use file::FileProblem;
pub(crate) use limit::LimitProblem;
pub(crate) use reply::ReplyProblem;
pub(crate) use session::SessionProblem;
pub(crate) use socket::SocketProblem;
pub(crate) use told::Told;

/// Why a request was not fulfilled.
#[derive(Debug)]
pub(crate) enum Problem {
    BadJson,
    BadBody,
    NotJson,
    TooLarge,
    Invalid(Vec<FieldError>),
    NotAuthenticated,
    BadToken,
    WrongCredentials,
    Taken(ClaimKind),
    NoSuchRoute,
    NoSuchMethod,
    NoSuchSession,
    NoSuchUser,
    NoSuchSignIn,
    NoSuchKey,
    /// Known, but not entitled.
    Forbidden,
    /// A browser sent a cookie from a page that is not ours.
    ForeignOrigin,
    WrongPassword,
    /// Many at once: come again.
    Busy,
    File(FileProblem),
    Embedding(EmbeddingProblem),
    Limit(LimitProblem),
    Reply(ReplyProblem),
    Session(SessionProblem),
    Socket(SocketProblem),
    /// It took too long.
    TooSlow,
    /// The client took too long to send its body.
    SlowBody,
    /// What this would change can't be seen yet: come again.
    Lagging,
    Store(StoreError),
    /// Something of ours broke; the log knows what.
    Internal(&'static str),
}

/// What is wrong with one field; never what was sent.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// A problem's outer form: what the client reads.
struct Shape {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
}

const fn shape(status: StatusCode, code: &'static str, detail: &'static str) -> Shape {
    Shape { status, code, detail }
}

const BROKEN: Shape = shape(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.");
impl Problem {
    fn shape(&self) -> Shape {
        match self {
            Self::File(problem) => problem.shape(),
            Self::Embedding(problem) => problem.shape(),
            Self::Limit(problem) => problem.shape(),
            Self::Reply(problem) => problem.shape(),
            Self::Session(problem) => problem.shape(),
            Self::Socket(problem) => problem.shape(),
            Self::BadJson => shape(StatusCode::BAD_REQUEST, "bad_json", "The body is not valid JSON."),
            Self::BadBody => shape(StatusCode::BAD_REQUEST, "bad_body", "The body could not be read."),
            Self::NotJson => {
                shape(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "The body must be application/json.")
            }
            Self::TooLarge => shape(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large."),
            Self::Invalid(_) => {
                shape(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some fields are missing or not valid.")
            }
            Self::NotAuthenticated => shape(StatusCode::UNAUTHORIZED, "not_authenticated", "Not authenticated"),
            Self::BadToken => shape(StatusCode::UNAUTHORIZED, "invalid_token", "Could not validate credentials"),
            Self::WrongCredentials => {
                shape(StatusCode::UNAUTHORIZED, "invalid_credentials", "Email or password incorrect.")
            }
            Self::Taken(ClaimKind::Email) => {
                shape(StatusCode::CONFLICT, "email_already_registered", "Email is already registered.")
            }
            Self::Taken(ClaimKind::Username) => {
                shape(StatusCode::CONFLICT, "username_already_registered", "Username is already registered.")
            }
            Self::NoSuchRoute => shape(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path."),
            Self::NoSuchMethod => {
                shape(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not take this method.")
            }
            Self::NoSuchSession => shape(StatusCode::NOT_FOUND, "session_not_found", "Session not found."),
            Self::NoSuchUser => shape(StatusCode::NOT_FOUND, "user_not_found", "User not found."),
            Self::NoSuchSignIn => shape(StatusCode::NOT_FOUND, "sign_in_not_found", "Sign-in not found."),
            Self::NoSuchKey => shape(StatusCode::NOT_FOUND, "key_not_found", "Key not found."),
            Self::Forbidden => shape(StatusCode::FORBIDDEN, "forbidden", "You are not allowed to do this."),
            Self::ForeignOrigin => {
                shape(StatusCode::FORBIDDEN, "foreign_origin", "This request came from a page of another site.")
            }
            Self::WrongPassword => shape(StatusCode::FORBIDDEN, "wrong_password", "The current password is wrong."),
            Self::Busy => {
                shape(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many requests are waiting. Please try again.")
            }
            Self::TooSlow => {
                shape(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "The request took too long. Please try again.")
            }
            Self::SlowBody => shape(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body took too long to come."),
            Self::Lagging => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "lagging",
                "The history is not up to date for the moment. Please try again.",
            ),
            Self::Store(error) if error.is_passing() => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The service is not available for the moment. Please try again.",
            ),
            Self::Store(_) | Self::Internal(_) => BROKEN,
        }
    }

    const fn retry_after(&self) -> Option<u32> {
        if let Self::Limit(problem) = self {
            problem.retry_after()
        } else if let Self::Reply(problem) = self {
            problem.retry_after()
        } else if let Self::Embedding(problem) = self {
            problem.retry_after()
        } else {
            None
        }
    }

    const fn limit(&self) -> Option<&LimitProblem> {
        if let Self::Limit(problem) = self { Some(problem) } else { None }
    }

    const fn message(&self) -> Option<MessageId> {
        if let Self::Reply(problem) = self { problem.message() } else { None }
    }

    fn errors(self) -> Vec<FieldError> {
        if let Self::Invalid(errors) = self {
            errors
        } else if let Self::Reply(problem) = self {
            problem.errors()
        } else {
            Vec::new()
        }
    }

    /// Logged here, once: nobody below does.
    fn log(&self) {
        if let Self::Store(error) = self {
            if error.is_passing() {
                tracing::warn!(cause = in_full(error), "not available");
            } else {
                tracing::error!(cause = in_full(error), "a request failed");
            }
        } else if let Self::Limit(problem) = self {
            problem.log();
        } else if let Self::Internal(what) = self {
            tracing::error!(what, "a request failed");
        } else if let Self::File(problem) = self {
            problem.log();
        } else if let Self::TooSlow = self {
            tracing::warn!("a request took too long");
        }
    }
}

#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_usage: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
}

/// Seconds after which a client that was told to come again should.
pub(crate) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl Problem {
    fn into_body(self) -> (StatusCode, Body) {
        self.log();
        let Shape { status, code, detail } = self.shape();
        let (retry_after, message_id) = (self.retry_after(), self.message());
        let (limit, current_usage) = self.limit().and_then(LimitProblem::limit).unzip();
        let budget = self.limit().and_then(LimitProblem::budget);
        let errors = self.errors();
        let title = status.canonical_reason().unwrap_or_default();
        let request_id = crate::request_id::current();
        let body = Body {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            code,
            detail,
            request_id,
            errors,
            budget,
            limit,
            current_usage,
            retry_after,
            message_id,
        };
        (status, body)
    }

    /// For where there is no status line: a frame of a socket.
    pub(crate) fn into_json(self) -> Value {
        json!(self.into_body().1)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let reached = self.limit().and_then(LimitProblem::reached).cloned();
        let (status, body) = self.into_body();
        let (retry_after, told) = (body.retry_after, Told::of(&body, reached));
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(told);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Busy> for Problem {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}
