//! Who may read the metrics: whoever shows a name and a password (RFC 7617).

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::values::Digest;

use crate::tokens::digest;

/// `METRICS_USER` and `METRICS_PASS`.
#[derive(Clone)]
pub struct MetricsLogin(Digest);

impl std::fmt::Debug for MetricsLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsLogin")
    }
}

impl MetricsLogin {
    /// A name with a colon can't be shown.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self(digest(format!("{user}:{password}").as_bytes()))
    }

    /// Whether a request shows it. Digests are compared, so that the time says nothing about it.
    pub(crate) fn is_shown_in(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown =
            shown.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        let shown = shown.and_then(|(_, encoded)| BASE64_STANDARD.decode(encoded.trim()).ok());
        shown.is_some_and(|shown| digest(&shown) == self.0)
    }
}
