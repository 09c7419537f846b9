//! Whose pages may read what this service answers in a browser: its own, and those that it is told of.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Other sites (`ALLOWED_ORIGINS`), and whether a browser may send along what it keeps for this one (`ALLOW_CREDENTIALS`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    allowed: Allowed,
    with_credentials: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Allowed {
    #[default]
    Own,
    These(Vec<HeaderValue>),
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be * or a list of origins such as https://app.example,http://127.0.0.1:3000")]
pub struct NotOrigins;

/// What a page may read of an answer, besides what it may anyway.
const EXPOSED: [HeaderName; 11] = [
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-event-position"),
    HeaderName::from_static("x-projection-lag"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-session-id"),
];
/// What it may send.
const SENT: [HeaderName; 13] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::RANGE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-min-position"),
    HeaderName::from_static("x-refresh-token"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-session-id"),
];
/// How long a browser may remember that.
const REMEMBERED: Duration = Duration::from_mins(10);

impl Origins {
    /// `None` where all of them would be allowed to.
    #[must_use]
    pub fn with_credentials(self) -> Option<Self> {
        (self.allowed != Allowed::All).then_some(Self { with_credentials: true, ..self })
    }

    /// Whether a page from there may make a browser send what it keeps for us.
    pub(crate) fn may_sign(&self, origin: &HeaderValue) -> bool {
        self.with_credentials && matches!(&self.allowed, Allowed::These(these) if these.contains(origin))
    }

    /// What browsers are told; nothing where no other site may read anything.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match &self.allowed {
            Allowed::Own => return None,
            Allowed::These(these) => AllowOrigin::list(these.clone()),
            Allowed::All => AllowOrigin::any(),
        };
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let layer = CorsLayer::new().allow_origin(origins).allow_methods(methods).allow_headers(SENT);
        Some(layer.expose_headers(EXPOSED).max_age(REMEMBERED).allow_credentials(self.with_credentials))
    }
}

impl FromStr for Origins {
    type Err = NotOrigins;

    fn from_str(text: &str) -> Result<Self, NotOrigins> {
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let allowed = match parts.as_slice() {
            [] => Allowed::Own,
            ["*"] => Allowed::All,
            these => Allowed::These(these.iter().map(|origin| parse(origin)).collect::<Result<_, _>>()?),
        };
        Ok(Self { allowed, with_credentials: false })
    }
}

/// As a browser writes it: no path, no capital letters, no port that is the usual one.
fn parse(text: &str) -> Result<HeaderValue, NotOrigins> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(NotOrigins)?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(NotOrigins);
    }
    let usual = if text.starts_with("https") { ":443" } else { ":80" };
    HeaderValue::try_from(text.strip_suffix(usual).unwrap_or(&text)).map_err(|_| NotOrigins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Origins {
        text.parse().unwrap()
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(origins(""), Origins::default());
        assert_eq!(
            origins("https://App.example/, http://127.0.0.1:3000"),
            origins("https://app.example:443,http://127.0.0.1:3000")
        );
        for wrong in [
            "app.example",
            "https://",
            "https://app.example/path",
            "*, https://app.example",
            "ftp://app.example",
            "null",
        ] {
            assert_eq!(wrong.parse::<Origins>(), Err(NotOrigins), "{wrong}");
        }
    }

    #[test]
    fn only_those_that_are_named_may_sign() {
        let page = HeaderValue::from_static("https://app.example");
        let named = origins("https://app.example").with_credentials().unwrap();
        assert!(named.may_sign(&page) && !named.may_sign(&HeaderValue::from_static("https://other.example")));
        assert!(!origins("https://app.example").may_sign(&page));
        assert_eq!(origins("*").with_credentials(), None);
        assert!(!origins("*").may_sign(&page));
    }
}
