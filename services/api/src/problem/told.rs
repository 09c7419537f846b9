//! What a problem says, beside its answer, for whoever says it in another form.

use axum::http::StatusCode;

use super::{Body, FieldError, LimitProblem, Problem};
use crate::limits::Refused;

#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) code: &'static str,
    pub(crate) detail: &'static str,
    pub(crate) errors: Vec<FieldError>,
    /// The limit that was reached.
    pub(crate) reached: Option<Refused>,
}

impl Problem {
    /// For where there is no status line: a piece of a stream.
    pub(crate) fn told(self) -> (StatusCode, Told) {
        let reached = self.limit().and_then(LimitProblem::reached).cloned();
        let (status, body) = self.into_body();
        (status, Told::of(&body, reached))
    }
}

impl Told {
    pub(super) fn of(body: &Body, reached: Option<Refused>) -> Self {
        Self { code: body.code, detail: body.detail, errors: body.errors.clone(), reached }
    }
}
