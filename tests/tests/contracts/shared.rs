//! Whoever registered by one document signs in by every other that has the fields for it, and is the same user there.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Service, on_both_engines};

use super::{Asking, Client, PASSWORD, has, json_of, post, text, user};

/// Each way to register, with a name for whoever comes so.
pub(super) fn ways() -> [(&'static str, &'static str, Value); 4] {
    let (s0, s1, s2, s4) = ("s0@example.com", "s1@example.com", "s2@example.com", "s4@example.com");
    [
        ("/register", s0, json!({"username": "of-s0", "email": s0, "password": PASSWORD, "full_name": "S 0"})),
        ("/api/auth/register", s1, json!({"email": s1, "password": PASSWORD})),
        ("/api/v1/users/register", s2, json!({"email": s2, "password": PASSWORD, "name": "S 2"})),
        ("/auth/register", s4, json!({"username": "of-s4", "email": s4, "password": PASSWORD})),
    ]
}

/// An access token, by each document's way to sign in, for whatever is typed as the name.
async fn tokens(service: &Service, typed: &str) -> Vec<(&'static str, String)> {
    let form = [("username", typed), ("password", PASSWORD)];
    let mut answers = vec![("S0", service.request(Method::POST, "/token").form(&form).send().await.unwrap())];
    if typed.contains('@') {
        answers.push(("S1", service.request(Method::POST, "/api/auth/login").form(&form).send().await.unwrap()));
    }
    let body = json!({"email": typed, "password": PASSWORD});
    answers.push(("S2", post(service, "/api/v1/users/login", body).await));
    let body = json!({"username": typed, "password": PASSWORD});
    answers.push(("S4", post(service, "/auth/login", body).await));
    let mut tokens = Vec::new();
    for (of, answer) in answers {
        tokens.push((of, text(&json_of(answer, 200).await["access_token"])));
    }
    tokens
}

on_both_engines! {
    async fn a_user_of_one_is_a_user_of_all(service: Service) {
        for (path, email, who) in ways() {
            let made = post(&service, path, who.clone()).await;
            assert!(made.status().is_success(), "{path}");
            let names: Vec<_> = [Some(email), who["username"].as_str()].into_iter().flatten().collect();
            let mut ids = Vec::new();
            for name in names {
                for (of, token) in tokens(&service, name).await {
                    let me = Client { service: &service, token };
                    has(&me.get("/users/me").await, json!({"username": who["username"].as_str().unwrap_or(email), "email": email}));
                    let shown = me.get("/api/users/me").await;
                    has(&shown, json!({"email": email, "is_active": true}));
                    let name = who["name"].as_str().or(who["full_name"].as_str()).or(who["username"].as_str());
                    has(&me.get("/api/v1/users/me").await, json!({"id": shown["id"], "name": name.unwrap_or(email)}));
                    let signed = who["username"].as_str().unwrap_or(email);
                    assert_eq!(me.get("/protected").await["user"], signed);
                    let reply = json_of(me.post("/chat", json!({"content": "hello"})).await, 200).await;
                    assert_eq!(reply["username"], signed, "{path} {of}");
                    ids.push(text(&shown["id"]));
                }
            }
            ids.dedup();
            assert_eq!(ids.len(), 1, "{path}");
        }
    }

    async fn what_was_said_by_one_is_seen_by_all(service: Service) {
        let (path, email, who) = &ways()[0];
        post(&service, path, who.clone()).await;
        let (_, token) = tokens(&service, email).await.remove(0);
        let ann = Client { service: &service, token };
        json_of(ann.post("/chat", json!({"content": "by S0"})).await, 200).await;
        let s1 = json_of(ann.post("/api/chat", json!({"message": "by S1"})).await, 200).await;
        json_of(ann.post("/api/v1/chat", json!({"message": "by S2", "session_id": s1["session_id"]})).await, 200).await;
        json_of(ann.post("/chat", json!({"message": "by S4"})).await, 200).await;
        assert_eq!(ann.get("/api/v1/chat/history").await["total"], 8);
        assert_eq!(ann.get("/api/history").await["total"], 3);
        let lengths: Vec<_> = ann.get("/conversations").await.as_array().unwrap().iter().map(|it| it["messages"].as_array().unwrap().len()).collect();
        assert_eq!(lengths, [2, 4, 2]);
        let own = ann.get("/chat/history").await;
        assert_eq!((&own["messages"][0]["content"], &own["total"]), (&json!("by S0"), &json!(2)));
    }

    async fn what_is_sent_again_is_the_same(on: Asking) {
        let ann = user(&on.service, "ann").await;
        let ways = [("/api/chat", "message_id", 400), ("/chat", "id", 422), ("/chat/background", "task_id", 422)];
        for (number, (path, id, refused)) in ways.into_iter().enumerate() {
            let key = format!("key {number}");
            let send = async |message: &str| {
                let request = ann.request(Method::POST, path).header("idempotency-key", &key);
                request.json(&json!({"message": message})).send().await.unwrap()
            };
            let first = json_of(send("hello").await, 200).await;
            assert!(first[id].is_string(), "{first}");
            on.fake.until_asked(number + 1).await;
            assert_eq!(json_of(send("hello").await, 200).await[id], first[id], "{path}");
            assert!(json_of(send("another").await, refused).await["detail"] != Value::Null, "{path}");
        }
        assert_eq!(ann.get("/api/v1/sessions").await.as_array().unwrap().len(), ways.len());
        assert_eq!(on.fake.asked().len(), ways.len(), "each is asked for once");
    }

    async fn who_is_disabled_is_out_everywhere(service: Service) {
        let (path, email, who) = &ways()[0];
        post(&service, path, who.clone()).await;
        let (_, token) = tokens(&service, email).await.remove(0);
        let ann = Client { service: &service, token };
        service.operate(["user", "disable", email]).await;
        let out = async {
            for path in ["/users/me", "/api/users/me", "/conversations", "/api/v1/users/me"] {
                // The other process' word takes a moment.
                while ann.request(Method::GET, path).send().await.unwrap().status() != 401 {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), out).await.unwrap();
        let form = [("username", *email), ("password", PASSWORD)];
        assert_eq!(service.request(Method::POST, "/token").form(&form).send().await.unwrap().status(), 401);
        assert_eq!(post(&service, "/auth/login", json!({"username": email, "password": PASSWORD})).await.status(), 401);
    }
}
