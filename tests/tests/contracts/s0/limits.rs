//! S0's limits: for the service, then for the user, each in its own words.

use futures::future::join_all;
use serde_json::json;
use tests::on_both_engines;

use super::{Limited, say};
use crate::{has, json_of, post, user};

on_both_engines! {
    async fn a_users_limit_says_when_to_come_again(service: Limited) {
        let Limited(service) = &service;
        let (ann, bob) = (user(service, "ann").await, user(service, "bob").await);
        for _ in 0..10 {
            assert_eq!(ann.post("/chat", json!({})).await.status(), 422, "counts nowhere");
            assert_eq!(post(service, "/chat", json!({"content": "hello"})).await.status(), 401, "nor does this");
            say(&ann, "hello").await;
        }
        for _ in 0..2 {
            let refused = ann.post("/chat", json!({"content": "hello"})).await;
            let header = refused.headers()["retry-after"].to_str().unwrap().to_owned();
            let detail = json_of(refused, 429).await["detail"].clone();
            has(&detail, json!({
                "error": "User rate limit exceeded",
                "message": "You have reached your limit of 10 requests per minute. Please try again later.",
                "current_usage": 10,
                "limit": 10,
            }));
            let seconds = detail["retry_after"].as_u64().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
            assert_eq!(header, seconds.to_string());
        }
        let limits = ann.get("/chat/rate-limit").await;
        has(&limits["user"], json!({"current": 10, "limit": 10, "remaining": 0, "window": "1 minute"}));
        has(&limits["global"], json!({"current": 10, "remaining": 90}));
        say(&bob, "hello").await;
    }

    async fn the_services_limit_is_everybodys(service: Limited) {
        let Limited(service) = &service;
        let names: Vec<_> = (0..11).map(|number| format!("user{number}")).collect();
        let all = join_all(names.iter().map(|name| user(service, name))).await;
        for who in &all[..10] {
            for _ in 0..10 {
                say(who, "hello").await;
            }
        }
        let refused = all[10].post("/chat", json!({"content": "hello"})).await;
        let header = refused.headers()["retry-after"].to_str().unwrap().to_owned();
        let detail = json_of(refused, 429).await["detail"].clone();
        has(&detail, json!({
            "error": "Service-wide rate limit exceeded",
            "message": "The service has reached its limit of 100 requests per minute. Please try again later.",
        }));
        let seconds = detail["retry_after"].as_u64().unwrap();
        assert!((1..=60).contains(&seconds) && header == seconds.to_string(), "{seconds} {header}");
        has(&all[10].get("/chat/rate-limit").await["global"], json!({"current": 100, "limit": 100, "remaining": 0}));
    }
}
