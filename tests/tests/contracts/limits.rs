//! Limits, as each dialect tells of them; S0's own are in `s0::limits`.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::stage::{Play, Stage};
use tests::{Service, on_both_engines};

use super::{Client, has, json_of, user};

/// Where a user may ask once an hour.
struct Once(Service);

impl Play for Once {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("RATE_LIMIT_USER", "1/hour")]).await)
    }
}

/// Where all together may.
struct OnceForAll(Service);

impl Play for OnceForAll {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("RATE_LIMIT_SERVICE", "1/hour"), ("RATE_LIMIT_USER", "1/hour")]).await)
    }
}

/// Where an address may come four times.
struct FourTimes(Service);

impl Play for FourTimes {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("RATE_LIMIT_IP", "4/hour")]).await)
    }
}

fn wait(answer: &Response) -> u64 {
    answer.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

on_both_engines! {
    async fn a_users_limit_is_a_429_in_a_text(once: Once) {
        let Once(service) = &once;
        let ann = user(service, "ann").await;
        json_of(ann.post("/api/chat", json!({"message": "hello"})).await, 200).await;
        for path in ["/api/chat", "/api/chat/stream", "/chat", "/chat/background"] {
            let refused = ann.post(path, json!({"message": "hello"})).await;
            assert!((1..=3_600).contains(&wait(&refused)), "{path}");
            assert_eq!(refused.headers()["content-type"], "application/json", "{path}");
            let refused = json_of(refused, 429).await;
            assert_eq!(refused, json!({"detail": refused["detail"].as_str().unwrap()}), "{path}");
        }
        assert_eq!(ann.get("/api/history").await["total"], 1, "what was refused is not kept");
        let bob = user(service, "bob").await;
        json_of(bob.post("/chat", json!({"message": "hello"})).await, 200).await;
    }

    async fn the_services_limit_is_told_before_the_users(once: OnceForAll) {
        let OnceForAll(service) = &once;
        let (ann, bob) = (user(service, "ann").await, user(service, "bob").await);
        let refused = async |who: &Client<'_>| {
            let answer = who.post("/chat", json!({"content": "hello"})).await;
            let seconds = wait(&answer);
            let detail = json_of(answer, 429).await["detail"].clone();
            has(&detail, json!({"error": "Service-wide rate limit exceeded", "retry_after": seconds}));
            assert_eq!(detail["current_usage"], Value::Null, "how many others asked is nobody's business");
        };
        json_of(ann.post("/chat", json!({"content": "hello"})).await, 200).await;
        refused(&ann).await;
        refused(&bob).await;
        let limits = ann.get("/chat/rate-limit").await;
        for of in ["global", "user"] {
            has(&limits[of], json!({"current": 1, "limit": 1, "remaining": 0, "window": "1 hour"}));
        }
    }

    async fn probes_and_looking_count_nowhere(four: FourTimes) {
        let FourTimes(service) = &four;
        // The first two.
        let ann = user(service, "ann").await;
        let get = async |path: &str| ann.request(Method::GET, path).send().await.unwrap();
        let free = async || {
            for path in ["/health", "/healthz", "/live", "/ready", "/api/v1/health", "/metrics", "/chat/rate-limit"] {
                let answer = get(path).await;
                assert!(!answer.headers().contains_key("ratelimit"), "{path}");
                assert_eq!(answer.status(), 200, "{path}");
            }
        };
        free().await;
        for (left, path) in [(1, "/users/me"), (0, "/conversations")] {
            let answer = get(path).await;
            assert_eq!(answer.status(), 200, "{path}");
            let told = answer.headers()["ratelimit"].to_str().unwrap();
            assert!(told.starts_with(&format!(r#""address";r={left};"#)), "{told}");
        }
        for path in ["/users/me", "/api/history", "/conversations", "/"] {
            let refused = get(path).await;
            assert!((1..=3_600).contains(&wait(&refused)), "{path}");
            assert!(json_of(refused, 429).await["detail"].is_string(), "{path}");
        }
        free().await;
    }
}
