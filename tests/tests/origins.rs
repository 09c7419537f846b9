//! What browsers are told of other sites' pages.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::Value;
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
    let answer = request.header("access-control-request-headers", "authorization,x-of-its-own").send().await.unwrap();
    answer.headers().clone()
}

fn names(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers[name].to_str().unwrap().split(',').map(|name| name.trim().to_owned()).collect()
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
            let exposed = names(answer.headers(), "access-control-expose-headers");
            for name in ["x-event-position", "retry-after", "content-range", "accept-ranges"] {
                assert!(exposed.iter().any(|exposed| exposed == name), "{exposed:?}");
            }
            assert!(answer.headers().get("access-control-allow-credentials").is_none());
            assert_eq!(answer.headers()["x-frame-options"], "DENY");
        }
        assert_eq!(allowed(from(&app, OTHER, Method::GET, "/live").await.headers()), None);
        let may = preflight(&app, "http://127.0.0.1:3000").await;
        assert_eq!(allowed(&may), Some("http://127.0.0.1:3000"));
        assert_eq!(names(&may, "access-control-allow-headers"), ["authorization", "x-of-its-own"]);
        assert!(names(&may, "access-control-allow-methods").contains(&"PATCH".to_owned()));
        assert!(!preflight(&app, OTHER).await.keys().any(|name| name.as_str().starts_with("access-control")));
    }

    async fn who_asks_for_options_alone_is_answered_the_same_everywhere(stage: Stage) {
        let named = allowing(stage, APP, true).await;
        let unnamed = TestApp::start(Stage::sqlite().await, Options::default()).await;
        for (name, value) in [("x-plain", "1"), ("origin", APP), ("access-control-request-method", "POST")] {
            for path in ["/api/v1/chat", "/nowhere"] {
                let ask = async |app: &TestApp| {
                    let answer = app.request(Method::OPTIONS, path).header(name, value).send().await.unwrap();
                    let allow = answer.headers().get("allow").cloned();
                    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
                    (status, allow, body["code"].clone())
                };
                let answer = ask(&named).await;
                assert!(answer.0.is_client_error(), "{answer:?}");
                assert_eq!(answer, ask(&unnamed).await, "{path} {name}");
            }
        }
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
