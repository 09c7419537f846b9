//! What browsers are told of other sites' pages.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";

async fn allowing(stage: Stage, origins: &str, with_credentials: bool) -> TestApp {
    let origins: api::Origins = origins.parse().unwrap();
    let origins = if with_credentials { origins.with_credentials().unwrap() } else { origins };
    TestApp::start(stage, Options { origins, ..Options::default() }).await
}

async fn from(app: &TestApp, origin: &str, method: Method, path: &str) -> Response {
    app.request(method, path).header("origin", origin).send().await.unwrap()
}

async fn preflight(app: &TestApp, origin: &str) -> HeaderMap {
    let request = app.request(Method::OPTIONS, "/api/v1/chat").header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    let answer =
        request.header("access-control-request-headers", "authorization, idempotency-key").send().await.unwrap();
    answer.headers().clone()
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get("access-control-allow-origin")?.to_str().unwrap())
}

on_both_engines! {
    async fn no_other_site_reads_anything_unless_it_is_named(stage: Stage) {
        let app = TestApp::start(stage, Options::default()).await;
        assert_eq!(allowed(from(&app, APP, Method::GET, "/live").await.headers()), None);
        assert!(!preflight(&app, APP).await.keys().any(|name| name.as_str().starts_with("access-control")));
    }

    async fn those_that_are_named_read_and_send(stage: Stage) {
        let app = allowing(stage, "https://app.example, http://127.0.0.1:3000", false).await;
        for path in ["/live", "/api/v1/users/me", "/nowhere"] {
            let answer = from(&app, APP, Method::GET, path).await;
            assert_eq!(allowed(answer.headers()), Some(APP), "{path}");
            assert!(answer.headers().get_all("vary").iter().any(|vary| vary.to_str().unwrap().contains("origin")));
            let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
            assert!(exposed.contains("x-event-position") && exposed.contains("retry-after"), "{exposed}");
            assert!(answer.headers().get("access-control-allow-credentials").is_none());
            assert_eq!(answer.headers()["x-frame-options"], "DENY");
        }
        assert_eq!(allowed(from(&app, OTHER, Method::GET, "/live").await.headers()), None);
        let may = preflight(&app, "http://127.0.0.1:3000").await;
        assert_eq!(allowed(&may), Some("http://127.0.0.1:3000"));
        assert!(may["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
        assert!(may["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
        assert_eq!(allowed(&preflight(&app, OTHER).await), None);
    }

    async fn all_may_read_where_nothing_is_sent_along(stage: Stage) {
        let app = allowing(stage, "*", false).await;
        let answer = from(&app, OTHER, Method::GET, "/live").await;
        assert_eq!(allowed(answer.headers()), Some("*"));
        assert!(answer.headers().get("access-control-allow-credentials").is_none());
    }

    async fn a_cookie_counts_from_those_that_are_named_with_credentials(stage: Stage) {
        let app = allowing(stage, APP, true).await;
        let ann = app.user("ann").await;
        let refresh = async |origin: &str, site: &str| {
            let cookie = format!("refresh_token={}", ann.refresh_token);
            let request = app.request(Method::POST, "/api/v1/users/refresh-token").header("cookie", cookie);
            request.header("origin", origin).header("sec-fetch-site", site).send().await.unwrap()
        };
        assert_eq!(refresh(OTHER, "same-site").await.status(), 403);
        let answer = refresh(APP, "same-site").await;
        assert_eq!((answer.status().as_u16(), allowed(answer.headers())), (200, Some(APP)));
        assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
    }
}
