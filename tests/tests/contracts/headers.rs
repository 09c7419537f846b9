//! The security headers, which S2 promises for every answer, whoever gives it.

use reqwest::{Method, Response};
use serde_json::json;
use tests::stage::{Play, Stage};
use tests::{Service, on_both_engines};

use super::{post, text, user};

const APP: &str = "https://app.example";

/// Where a page of another site may ask, and each user once an hour.
struct Limited(Service);

impl Play for Limited {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("ALLOWED_ORIGINS", APP), ("RATE_LIMIT_USER", "1/hour")]).await)
    }
}

#[track_caller]
fn is_secured(answer: &Response, status: u16) {
    let url = answer.url();
    let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(answer.status(), status, "{url}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{url}");
    assert_eq!((header("x-frame-options"), header("referrer-policy")), ("DENY", "no-referrer"), "{url}");
    assert!(header("permissions-policy").contains("camera=()"), "{url}");
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{url}: {policy}");
    assert_eq!(answer.headers().get_all("content-security-policy").iter().count(), 1, "{url}");
}

on_both_engines! {
    async fn what_anybody_gets_has_them(limited: Limited) {
        let Limited(service) = &limited;
        let answer = async |method, path| service.request(method, path).send().await.unwrap();
        for path in ["/", "/health", "/live", "/openapi.json", "/docs", "/redoc"] {
            is_secured(&answer(Method::GET, path).await, 200);
        }
        for path in ["/chat/history", "/api/history", "/conversations", "/api/v1/users/me", "/v1/models"] {
            is_secured(&answer(Method::GET, path).await, 401);
        }
        for path in ["/nowhere", "/api/nowhere", "/v1/nowhere", "/docs/nowhere.js"] {
            is_secured(&answer(Method::GET, path).await, 404);
        }
        for (method, path) in [(Method::DELETE, "/chat"), (Method::PUT, "/api/v1/chat"), (Method::GET, "/v1/embeddings")] {
            is_secured(&answer(method, path).await, 405);
        }
        let who = json!({"name": "Bob", "email": "bob@example.com", "password": "Passw0rd!"});
        is_secured(&post(service, "/api/v1/users/register", who.clone()).await, 201);
        is_secured(&post(service, "/api/v1/users/register", who).await, 409);
        is_secured(&post(service, "/api/v1/users/register", json!({})).await, 422);
        let preflight = service.request(Method::OPTIONS, "/chat").header("origin", APP);
        let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(preflight.headers()["access-control-allow-origin"], APP);
        is_secured(&preflight, 204);
    }

    async fn what_a_user_gets_has_them(limited: Limited) {
        let Limited(service) = &limited;
        let ann = user(service, "ann").await;
        let streamed = ann.post("/api/chat/stream", json!({"message": "hello"})).await;
        assert_eq!(streamed.headers()["content-type"], "text/event-stream");
        is_secured(&streamed, 200);
        streamed.text().await.unwrap();
        for (path, body) in [("/chat", json!({"content": "more"})), ("/api/chat", json!({"message": "more"})), ("/api/v1/chat", json!({"message": "more"}))] {
            is_secured(&ann.post(path, body).await, 429);
        }
        let bob = user(service, "bob").await;
        let body = json!({"model": "rules", "messages": [{"role": "user", "content": "hello"}], "stream": true});
        is_secured(&bob.request(Method::GET, "/v1/models").send().await.unwrap(), 200);
        is_secured(&bob.post("/v1/chat/completions", body.clone()).await, 200);
        is_secured(&bob.post("/v1/chat/completions", body).await, 429);
        let history = bob.get("/api/v1/chat/history").await;
        let export = format!("/api/v1/sessions/{}/export", text(&history["messages"][0]["session_id"]));
        is_secured(&bob.request(Method::GET, &export).send().await.unwrap(), 200);
        // At the end: it is not read to its own, and the connection goes.
        is_secured(&ann.post("/chat", json!({"content": "x".repeat(513 << 10)})).await, 413);
    }
}
