//! The refresh token's cookie, and whether a browser sent it from a page of ours.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::origins::is_foreign;

const NAME: &str = "refresh_token";
const HEADER: &str = "x-refresh-token";

/// A refresh token that came with a request.
pub(super) enum Sent<'a> {
    /// By the header, which no page of another site can set.
    Header(&'a str),
    Cookie(&'a str),
}

impl<'a> Sent<'a> {
    /// The header goes before the cookie: it was sent on purpose.
    pub(super) fn with(headers: &'a HeaderMap) -> Option<Self> {
        if let Some(token) = headers.get(HEADER).and_then(|token| token.to_str().ok()) {
            return Some(Self::Header(token));
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.trim() == NAME).map(|(_, token)| Self::Cookie(token.trim()))
    }

    pub(super) const fn text(&self) -> &'a str {
        match self {
            Self::Header(token) | Self::Cookie(token) => token,
        }
    }

    /// Whether a page of another site made the browser send it.
    pub(super) fn is_foreign(&self, headers: &HeaderMap) -> bool {
        matches!(self, Self::Cookie(_)) && is_foreign(headers)
    }
}

/// Gives the browser a refresh token to keep; `None` takes it away.
pub(super) fn set(token: Option<(&str, u32)>) -> HeaderValue {
    let (token, seconds) = token.unwrap_or_default();
    let cookie = format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict");
    HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_is_found_in_the_header_or_among_the_cookies() {
        let text = |pairs: &[_]| Sent::with(&headers(pairs)).map(|sent| sent.text().to_owned());
        assert_eq!(text(&[("cookie", "a=b; refresh_token=crt_x; c=d")]).unwrap(), "crt_x");
        assert_eq!(text(&[("cookie", "refresh_token=crt_x"), ("x-refresh-token", "crt_y")]).unwrap(), "crt_y");
        assert_eq!(text(&[("cookie", "refresh_token2=crt_x; xrefresh_token=y")]), None);
        assert_eq!(text(&[]), None);
    }

    #[test]
    fn a_cookie_from_another_site_is_foreign() {
        let foreign = |more: &[(&'static str, &'static str)]| {
            let pairs = [&[("cookie", "refresh_token=x"), ("host", "chat.example:8000")], more].concat();
            let headers = headers(&pairs);
            Sent::with(&headers).unwrap().is_foreign(&headers)
        };
        for ours in [
            &[][..],
            &[("origin", "http://chat.example:8000")],
            &[("origin", "https://chat.example:8000"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://chat.example"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!foreign(ours), "{ours:?}");
        }
        for theirs in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "http://chat.example")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://chat.example:8000"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(foreign(theirs), "{theirs:?}");
        }
        let headers = headers(&[("x-refresh-token", "x"), ("origin", "https://evil.example")]);
        assert!(!Sent::with(&headers).unwrap().is_foreign(&headers), "no page can set a header unasked");
    }
}
