//! Whose pages may read what this service answers in a browser: its own, and those that it is told of.

use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "accept-ranges, allow, content-disposition, content-range, etag, link, location, ratelimit, ratelimit-policy, \
     retry-after, www-authenticate, x-event-position, x-projection-lag, x-request-id, x-session-id, x-should-retry",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
/// For how many seconds a browser may remember what it was told.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

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

    /// What an answer to a page from there is marked with; nothing where it may read none.
    fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        let marked = match &self.allowed {
            Allowed::Own => return false,
            Allowed::All => origin.map(|_| HeaderValue::from_static("*")),
            Allowed::These(these) => {
                headers.append(header::VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| these.contains(origin)).cloned()
            }
        };
        let Some(marked) = marked else { return false };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, marked);
        if self.with_credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }

    /// What a page may send, as it was asked for: clients add headers of their own, and whose page it is guards enough.
    fn permit(&self, asked: &HeaderMap) -> Response {
        let mut answer = StatusCode::NO_CONTENT.into_response();
        if self.mark(asked.get(header::ORIGIN), answer.headers_mut()) {
            let headers = answer.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
            if let Some(sent) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent.clone());
            }
        }
        answer
    }
}

/// Tells browsers which pages may ask and read. What browsers ask before they do, no handler answers.
pub(crate) async fn tell(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    if origins.allowed != Allowed::Own && is_preflight(&request) {
        return origins.permit(request.headers());
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut answer = next.run(request).await;
    if origins.mark(origin.as_ref(), answer.headers_mut()) {
        answer.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    answer
}

fn is_preflight(request: &Request) -> bool {
    let has = |name: HeaderName| request.headers().contains_key(name);
    request.method() == Method::OPTIONS && has(header::ORIGIN) && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a page of another site made the browser ask. Who is no browser says nothing of pages.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same_host = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text(header::HOST)
    };
    // What the browser says of the site is right behind any proxy; the host may have been rewritten on the way.
    match (text(SITE), text(header::ORIGIN)) {
        (Some(site), _) => !["same-origin", "none"].contains(&site),
        (None, Some(origin)) => !same_host(origin),
        (None, None) => false,
    }
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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
