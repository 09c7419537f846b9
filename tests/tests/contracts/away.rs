//! The database is away: the probes say so in each document's words, and whoever asks is told to come again.

use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{Service, Stage};

use super::{PASSWORD, has, has_all, is_moment, json_of, user};

/// What asks the database something, in each dialect but the canonical.
fn asks(service: &Service, token: &str) -> Vec<(&'static str, RequestBuilder)> {
    let login = json!({"username": "ann", "email": "ann@example.com", "password": PASSWORD});
    let request = |method, path| service.request(method, path).bearer_auth(token);
    let post = |path: &'static str, body: Value| (path, request(Method::POST, path).json(&body));
    let form = [("username", "ann"), ("password", PASSWORD)];
    vec![
        ("/token", service.request(Method::POST, "/token").form(&form)),
        post("/auth/login", login),
        post("/api/auth/login", json!({"email": "ann@example.com", "password": PASSWORD})),
        post("/chat", json!({"content": "hello"})),
        post("/chat", json!({"message": "hello"})),
        post("/chat/background", json!({"message": "hello"})),
        post("/api/chat", json!({"message": "hello"})),
        ("/chat/history", request(Method::GET, "/chat/history")),
        ("/api/history", request(Method::GET, "/api/history")),
        ("/conversations", request(Method::GET, "/conversations")),
    ]
}

async fn probe(service: &Service, path: &str, status: u16) -> Value {
    json_of(service.request(Method::GET, path).send().await.unwrap(), status).await
}

#[tokio::test]
async fn who_asks_meanwhile_is_told_to_come_again() {
    let mut service = Service::start(Stage::postgres_nats().await, &[]).await;
    let token = user(&service, "ann").await.token;
    service.stage.postgres.as_mut().unwrap().kill().await;

    has(&probe(&service, "/ready", 503).await, json!({"status": "not ready"}));
    assert_eq!(probe(&service, "/api/v1/health", 200).await, json!({"status": "error", "db": "down"}));
    let health = probe(&service, "/health", 200).await;
    has(&health, json!({"status": "unhealthy", "db": "down"}));
    has_all(&health, &["version"]);
    is_moment(&health["timestamp"]);
    assert_eq!(probe(&service, "/live", 200).await, json!({"status": "alive"}), "nobody need start it anew");
    // At once: each is given some time to find the database after all.
    let refused = asks(&service, &token).into_iter().map(async |(path, request)| {
        let answer = request.send().await.unwrap();
        let wait: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait > 0, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
        let refusal = json_of(answer, 503).await;
        assert_eq!(refusal, json!({"detail": refusal["detail"].as_str().unwrap()}), "{path}");
    });
    join_all(refused).await;

    service.stage.postgres.as_mut().unwrap().restart().await;
    let ready = async {
        while service.request(Method::GET, "/ready").send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), ready).await.unwrap();
    assert_eq!(probe(&service, "/api/v1/health", 200).await, json!({"status": "ok", "db": "ok"}));
    has(&probe(&service, "/health", 200).await, json!({"status": "healthy"}));
    for (path, request) in asks(&service, &token) {
        assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
    }
}
