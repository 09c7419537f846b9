//! `Idempotency-Key`: a client's name for a request that it may send again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::problem::Problem;

/// The name, where one was given.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

const HEADER: &str = "Idempotency-Key";
const LONGEST: usize = 255;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        Self::of(HEADER, header.to_str().ok())
    }
}

impl IdempotencyKey {
    /// A name that was given, as text, in some field.
    pub(crate) fn of(field: &'static str, name: Option<&str>) -> Result<Self, Problem> {
        let is_fit =
            |name: &&str| (1..=LONGEST).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b));
        let invalid = || Problem::invalid(field, format!("must have from 1 to {LONGEST} characters of ASCII"));
        name.filter(is_fit).map(|name| Self(Some(name.to_owned()))).ok_or_else(invalid)
    }
}
