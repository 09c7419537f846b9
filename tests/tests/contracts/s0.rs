//! S0: user names at the root, one conversation, limits that say how they stand.

mod limits;

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::stage::{Play, Stage};
use tests::{Service, on_both_engines};

use super::{Client, PASSWORD, curl, has, has_all, is_moment, json_of, post, text, user};

const REGISTER: &str = r#"curl -X POST "http://localhost:8000/register" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "password": "testpass123",
    "email": "test@example.com",
    "full_name": "Test User"
  }'"#;
const LOGIN: &str = r#"curl -X POST "http://localhost:8000/token" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=testuser&password=testpass123""#;
const PROTECTED: &str = r#"curl -X GET "http://localhost:8000/protected" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN""#;
const CHAT: &str = r#"curl -X POST "http://localhost:8000/chat" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "content": "hello"
  }'"#;
const HISTORY: &str = r#"curl -X GET "http://localhost:8000/chat/history" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN""#;
const LAST_TEN: &str = r#"curl -X GET "http://localhost:8000/chat/history?limit=10" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN""#;
const CLEAR: &str = r#"curl -X DELETE "http://localhost:8000/chat/history" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN""#;
const LIMITS: &str = r#"curl -X GET "http://localhost:8000/chat/rate-limit" \
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN""#;

const HELLO: &str = "Hello! How can I help you today?";

/// The limits that the document has.
struct Limited(Service);

impl Play for Limited {
    async fn on(stage: Stage) -> Self {
        let limits = [("RATE_LIMIT_SERVICE", "100/minute"), ("RATE_LIMIT_USER", "10/minute")];
        Self(Service::start(stage, &limits).await)
    }
}

async fn say(who: &Client<'_>, content: &str) -> Value {
    json_of(who.post("/chat", json!({"content": content})).await, 200).await
}

fn contents(history: &Value) -> Vec<&str> {
    history["messages"].as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap()).collect()
}

on_both_engines! {
    async fn every_command_does_what_it_says(service: Limited) {
        let Limited(service) = &service;
        let registered = curl(service, REGISTER, &[]).await.json(200);
        let shown = json!({"username": "testuser", "email": "test@example.com", "full_name": "Test User", "disabled": false});
        has(&registered, shown.clone());
        let token = curl(service, LOGIN, &[]).await.json(200);
        has(&token, json!({"token_type": "bearer"}));
        let token = text(&token["access_token"]);
        let got = [("YOUR_ACCESS_TOKEN", token.as_str())];
        has_all(&curl(service, PROTECTED, &got).await.json(200), &["message", "user"]);

        let reply = curl(service, CHAT, &got).await.json(200);
        has(&reply, json!({"username": "testuser", "role": "bot", "content": HELLO}));
        has_all(&reply, &["id"]);
        is_moment(&reply["timestamp"]);
        for command in [HISTORY, LAST_TEN] {
            let answer = curl(service, command, &got).await;
            assert_eq!(answer.headers["content-type"], "application/json");
            let history = answer.json(200);
            assert_eq!(history["total"], 2);
            has(&history["messages"][0], json!({"username": "testuser", "role": "user", "content": "hello"}));
            assert_eq!(history["messages"][1], reply, "the reply is kept as it was given");
            is_moment(&history["messages"][0]["timestamp"]);
        }
        let limits = curl(service, LIMITS, &got).await.json(200);
        has(&limits["global"], json!({"current": 1, "limit": 100, "remaining": 99, "window": "1 minute"}));
        has(&limits["user"], json!({"current": 1, "limit": 10, "remaining": 9, "window": "1 minute"}));
        let cleared = curl(service, CLEAR, &got).await.json(200);
        has(&cleared, json!({"deleted_messages": 2}));
        has_all(&cleared, &["message"]);
        assert_eq!(curl(service, HISTORY, &got).await.json(200), json!({"messages": [], "total": 0}));

        let me = Client { service, token }.get("/users/me").await;
        has(&me, shown);
    }

    async fn the_root_and_the_health_say_what_runs(service: Service) {
        let get = async |path: &str| json_of(service.request(Method::GET, path).send().await.unwrap(), 200).await;
        let root = get("/").await;
        has(&root, json!({"docs": "/docs"}));
        has_all(&root, &["message", "version"]);
        let health = get("/health").await;
        has(&health, json!({"status": "healthy"}));
        has_all(&health, &["version", "db"]);
        is_moment(&health["timestamp"]);
    }

    async fn the_bot_knows_its_rules(service: Service) {
        let ann = user(&service, "ann").await;
        for (said, answer) in [
            ("hello", HELLO),
            (" HELLO\n", HELLO),
            ("hi", "Hi there! What can I do for you?"),
            ("How Are You", "I'm doing great! Thanks for asking. How can I assist you?"),
            ("help", "I'm here to help! You can ask me questions or just chat with me."),
            ("bye", "Goodbye! Have a great day!"),
            ("what?", "You said: 'what?'. I'm a simple bot, but I heard you!"),
        ] {
            assert_eq!(say(&ann, said).await["content"], answer, "{said}");
        }
    }

    async fn who_is_not_let_in_is_told_so(service: Service) {
        let detail = async |scheme: Option<&str>| {
            let request = service.request(Method::GET, "/protected");
            let request = match scheme {
                Some(scheme) => request.header("authorization", scheme),
                None => request,
            };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            assert_eq!(answer.headers()["content-type"], "application/json");
            json_of(answer, 401).await
        };
        assert_eq!(detail(None).await, json!({"detail": "Not authenticated"}));
        assert_eq!(detail(Some("Basic dGVzdDp0ZXN0")).await, json!({"detail": "Not authenticated"}));
        assert_eq!(detail(Some("Bearer nonsense")).await, json!({"detail": "Could not validate credentials"}));
        user(&service, "ann").await;
        for (name, password) in [("ann", "another password"), ("nobody", PASSWORD)] {
            let form = [("grant_type", "password"), ("scope", ""), ("username", name), ("password", password)];
            let answer = service.request(Method::POST, "/token").form(&form).send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            assert_eq!(json_of(answer, 401).await, json!({"detail": "Incorrect username or password"}));
        }
        let form = [("grant_type", "password"), ("scope", ""), ("username", "ann"), ("password", PASSWORD)];
        let answer = service.request(Method::POST, "/token").form(&form).send().await.unwrap();
        has(&json_of(answer, 200).await, json!({"token_type": "bearer"}));
    }

    async fn a_name_is_taken_once(service: Service) {
        let register = async |body: Value| post(&service, "/register", body).await;
        let bare = json_of(register(json!({"username": "ann", "password": PASSWORD})).await, 200).await;
        has(&bare, json!({"username": "ann", "email": null, "full_name": null, "disabled": false}));
        let taken = json_of(register(json!({"username": "Ann", "password": PASSWORD})).await, 400).await;
        assert_eq!(taken, json!({"detail": "Username already registered"}));
        let with = |name: &str| json!({"username": name, "password": PASSWORD, "email": "bob@example.com"});
        json_of(register(with("bob")).await, 200).await;
        has_all(&json_of(register(with("rob")).await, 400).await, &["detail"]);
    }

    async fn what_is_wrong_is_named_and_not_repeated(service: Service) {
        let ann = user(&service, "ann").await;
        let long = "x".repeat(32_001);
        for (path, body, location) in [
            ("/register", json!({"password": "hunter2 hunter2"}), json!(["body", "username"])),
            ("/register", json!({"username": "bob", "password": "hunter2"}), json!(["body", "password"])),
            ("/register", json!({"username": "bob", "password": "hunter2 hunter2", "email": "hunter2"}), json!(["body", "email"])),
            ("/register", json!({"username": ["hunter2"], "password": 3}), json!(["body"])),
            ("/chat", json!({}), json!(["body", "content"])),
            ("/chat", json!({"content": "hunter2", "message": "hunter2"}), json!(["body"])),
            ("/chat", json!({"content": " "}), json!(["body", "content"])),
            ("/chat", json!({"content": long}), json!(["body", "content"])),
        ] {
            let answer = ann.post(path, body.clone()).await;
            assert_eq!(answer.headers()["content-type"], "application/json");
            let refusal = json_of(answer, 422).await;
            let first = &refusal["detail"][0];
            assert_eq!(first["loc"], location, "{path} {body}");
            assert!(first["msg"].is_string() && first["type"].is_string(), "{refusal}");
            assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        }
        for (kind, body) in [("application/json", "{hunter2"), ("text/plain", "hunter2")] {
            let answer = ann.request(Method::POST, "/chat").header("content-type", kind).body(body).send().await.unwrap();
            assert!(!json_of(answer, 422).await["detail"][0]["loc"].is_null(), "{kind}");
        }
        for limit in ["0", "-1", "many"] {
            let answer = ann.request(Method::GET, &format!("/chat/history?limit={limit}")).send().await.unwrap();
            assert_eq!(json_of(answer, 422).await["detail"][0]["loc"][0], "query", "{limit}");
        }
        assert_eq!(say(&ann, &"x".repeat(32_000)).await["role"], "bot");
    }

    async fn a_user_has_one_conversation(service: Service) {
        let ann = user(&service, "ann").await;
        let elsewhere = json_of(ann.post("/api/v1/chat", json!({"message": "elsewhere"})).await, 200).await;
        let first = join_all((0..8).map(|_| say(&ann, "hello"))).await;
        let ids: BTreeSet<_> = first.iter().map(|it| text(&it["id"])).collect();
        assert_eq!(ids.len(), 8);
        assert_eq!(ann.get("/api/v1/sessions").await.as_array().unwrap().len(), 2, "one, and the one elsewhere");
        assert_eq!(ann.get("/chat/history").await["total"], 16);
        for round in 0..4 {
            let deleted = ann.delete("/chat/history").await;
            assert_eq!(deleted["deleted_messages"], if round == 0 { 16 } else { 2 });
            assert_eq!(ann.get("/chat/history").await, json!({"messages": [], "total": 0}));
            assert_eq!(ann.delete("/chat/history").await["deleted_messages"], 0);
            say(&ann, &format!("round {round}")).await;
            let history = ann.get("/chat/history").await;
            assert_eq!((contents(&history)[0], &history["total"]), (format!("round {round}").as_str(), &json!(2)));
        }
        let kept = ann.get(&format!("/api/v1/sessions/{}", text(&elsewhere["session_id"]))).await;
        assert_eq!(kept["messages"], 2, "what was said elsewhere is there");
        let bob = user(&service, "bob").await;
        assert_eq!(bob.get("/chat/history").await["total"], 0);
    }

    async fn a_post_that_is_sent_again_is_the_same(service: Service) {
        let ann = user(&service, "ann").await;
        let say = async |content: &str| {
            let request = ann.request(Method::POST, "/chat").header("idempotency-key", "once");
            request.json(&json!({"content": content})).send().await.unwrap()
        };
        let first = json_of(say("hello").await, 200).await;
        assert_eq!(json_of(say("hello").await, 200).await["id"], first["id"]);
        assert_eq!(say("another").await.status(), 422);
        assert_eq!(ann.get("/chat/history").await["total"], 2);
    }

    async fn a_history_is_whole_however_long(service: Service) {
        let ann = user(&service, "ann").await;
        let said: Vec<_> = (0..75).map(|number| format!("number {number}")).collect();
        for content in &said {
            say(&ann, content).await;
        }
        let whole = ann.get("/chat/history").await;
        let asked: Vec<_> = contents(&whole).into_iter().step_by(2).collect();
        assert_eq!((asked, &whole["total"]), (said.iter().map(String::as_str).collect(), &json!(150)));
        let all = whole["messages"].as_array().unwrap();
        for limit in [1, 2, 63, 64, 65, 128, 149, 150, 151, 4_000_000_000_u32] {
            let last = ann.get(&format!("/chat/history?limit={limit}")).await;
            let from = all.len().saturating_sub(limit as usize);
            assert_eq!((last["messages"].as_array().unwrap().as_slice(), &last["total"]), (&all[from..], &json!(150)), "{limit}");
        }
    }
}

#[tokio::test]
async fn alone_there_is_the_documents_admin() {
    let service = Service::start(Stage::sqlite().await, &[("COLLOQUY_DEV_ADMIN", "true")]).await;
    let login = r#"curl -X POST "http://localhost:8000/token" -d "username=admin&password=admin123""#;
    let token = text(&curl(&service, login, &[]).await.json(200)["access_token"]);
    has(&Client { service: &service, token }.get("/users/me").await, json!({"username": "admin", "disabled": false}));
}
