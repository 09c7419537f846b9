//! S4: models by name, tasks in the background, conversations as a list.

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::{Service, on_both_engines};

use super::{Asking, Client, PASSWORD, curl, has, has_all, is_moment, json_of, post, text, user};

const REGISTER: &str = r#"curl -X POST "http://localhost:8000/auth/register" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "email": "test@example.com",
    "password": "password123"
  }'"#;
const LOGIN: &str = r#"curl -X POST "http://localhost:8000/auth/login" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "password": "password123"
  }'"#;
const CHAT: &str = r#"curl -X POST "http://localhost:8000/chat" \
  -H "Authorization: Bearer YOUR_JWT_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "message": "Hello, how are you?",
    "model": "gpt-3.5-turbo",
    "max_tokens": 150,
    "temperature": 0.7
  }'"#;
const BACKGROUND: &str = r#"curl -X POST "http://localhost:8000/chat/background" \
  -H "Authorization: Bearer YOUR_JWT_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "message": "Process this in background",
    "model": "gpt-3.5-turbo"
  }'"#;
const TASK: &str = r#"curl -X GET "http://localhost:8000/chat/tasks/TASK_ID" \
  -H "Authorization: Bearer YOUR_JWT_TOKEN""#;
const CONVERSATIONS: &str = r#"curl -X GET "http://localhost:8000/conversations" \
  -H "Authorization: Bearer YOUR_JWT_TOKEN""#;

/// Where a task has come to, once it is no longer on its way there.
pub(super) async fn ended(who: &Client<'_>, task: &Value) -> Value {
    let path = format!("/chat/tasks/{}", text(&task["task_id"]));
    let end = async {
        loop {
            let task = who.get(&path).await;
            if !["pending", "processing"].contains(&task["status"].as_str().unwrap()) {
                return task;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), end).await.unwrap()
}

/// Waits until a task is seen on its way.
async fn is_processed(who: &Client<'_>, task: &Value) {
    let path = format!("/chat/tasks/{}", text(&task["task_id"]));
    let processed = async {
        loop {
            let running = who.get(&path).await;
            has(&running, json!({"result": null, "error": null}));
            if running["status"] == "processing" {
                return;
            }
            assert_eq!(running["status"], "pending");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), processed).await.unwrap();
}

async fn testuser(service: &Service) -> String {
    let registered = curl(service, REGISTER, &[]).await.json(200);
    has(&registered, json!({"username": "testuser", "email": "test@example.com"}));
    has_all(&registered, &["id"]);
    is_moment(&registered["created_at"]);
    let token = curl(service, LOGIN, &[]).await.json(200);
    has(&token, json!({"token_type": "bearer"}));
    text(&token["access_token"])
}

on_both_engines! {
    async fn every_command_does_what_it_says(service: Service) {
        let token = testuser(&service).await;
        let got = [("YOUR_JWT_TOKEN", token.as_str())];
        let reply = curl(&service, CHAT, &got).await.json(200);
        has(&reply, json!({
            "message": "You said: 'Hello, how are you?'. I'm a simple bot, but I heard you!",
            "model": "rules",
        }));
        has_all(&reply, &["id", "usage"]);
        is_moment(&reply["created_at"]);

        let task = curl(&service, BACKGROUND, &got).await.json(200);
        assert_eq!(task, json!({"task_id": task["task_id"], "status": "pending", "result": null, "error": null}));
        let id = text(&task["task_id"]);
        let done = curl(&service, TASK, &[got[0], ("TASK_ID", &id)]).await.json(200);
        has(&done, json!({"task_id": id, "status": "completed", "error": null}));
        has(&done["result"], json!({"message": "You said: 'Process this in background'. I'm a simple bot, but I heard you!"}));

        let conversations = curl(&service, CONVERSATIONS, &got).await.json(200);
        assert_eq!(conversations.as_array().unwrap().len(), 2);
        let said = ["Process this in background", "Hello, how are you?"];
        for (conversation, said) in conversations.as_array().unwrap().iter().zip(said) {
            has_all(conversation, &["id"]);
            is_moment(&conversation["created_at"]);
            is_moment(&conversation["updated_at"]);
            let messages = conversation["messages"].as_array().unwrap();
            assert_eq!(messages.len(), 2);
            has(&messages[0], json!({"role": "user", "content": said}));
            has(&messages[1], json!({"role": "assistant"}));
            is_moment(&messages[1]["timestamp"]);
        }
    }

    async fn a_model_is_asked_as_it_was_wanted(on: Asking) {
        let token = testuser(&on.service).await;
        let got = [("YOUR_JWT_TOKEN", token.as_str())];
        on.says(&["I am ", "fine."]);
        let reply = curl(&on.service, CHAT, &got).await.json(200);
        assert_eq!(reply["message"], "I am fine.");
        assert!(text(&reply["model"]).ends_with("gpt-3.5-turbo"), "{reply}");
        has(&reply["usage"], json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}));
        let asked = on.fake.asked().pop().unwrap();
        assert_eq!((asked.model.as_str(), asked.max_tokens), ("gpt-3.5-turbo", Some(150)));
        assert!(asked.temperature.is_some_and(|it| (it - 0.7).abs() < 0.001), "{asked:?}");

        let ann = Client { service: &on.service, token: token.clone() };
        on.fake.then(Script::stalls_after(&["slowly"]));
        let task = curl(&on.service, BACKGROUND, &got).await.json(200);
        has(&task, json!({"status": "pending", "result": null, "error": null}));
        on.fake.until_asked(2).await;
        is_processed(&ann, &task).await;
        on.fake.release();
        let done = ended(&ann, &task).await;
        has(&done, json!({"status": "completed", "error": null}));
        assert_eq!(done["result"]["message"], "slowly");

        on.fake.then(Script::fails(400));
        let task = json_of(ann.post("/chat/background", json!({"message": "fail"})).await, 200).await;
        let failed = ended(&ann, &task).await;
        has(&failed, json!({"status": "failed", "result": null}));
        assert!(failed["error"].is_string(), "{failed}");
    }

    async fn a_providers_limit_is_429_and_its_failure_502(on: Asking) {
        let ann = user(&on.service, "ann").await;
        on.fake.then(Script::fails(400));
        let failed = json_of(ann.post("/chat", json!({"message": "fail"})).await, 502).await;
        assert!(failed["detail"].is_string(), "{failed}");
        on.fake.then(Script::rate_limited(60));
        let limited = ann.post("/chat", json!({"message": "too much"})).await;
        assert_eq!(limited.headers()["retry-after"], "60");
        let limited = json_of(limited, 429).await;
        assert!(limited["detail"].is_string(), "{limited}");
    }

    async fn what_is_wrong_is_named_and_not_repeated(service: Service) {
        let ann = user(&service, "ann").await;
        let who = |username: &str, email: &str, password: &str| json!({"username": username, "email": email, "password": password});
        let long = "x".repeat(1_001);
        for (path, body, field) in [
            ("/auth/register", who("hu", "hunter2@example.com", "hunter2 hunter2"), "username"),
            ("/auth/register", who(&"hunter2".repeat(8), "hunter2@example.com", "hunter2 hunter2"), "username"),
            ("/auth/register", who("bob", "hunter2", "hunter2 hunter2"), "email"),
            ("/auth/register", who("bob", "hunter2@example.com", "hunter2"), "password"),
            ("/auth/register", json!({"username": "hunter2", "password": "hunter2 hunter2"}), "email"),
            ("/auth/login", json!({"username": "hunter2"}), "password"),
            ("/chat", json!({"message": " "}), "message"),
            ("/chat", json!({"message": long}), "message"),
            ("/chat", json!({"message": "hunter2", "temperature": 2.1}), "temperature"),
            ("/chat", json!({"message": "hunter2", "max_tokens": 0}), "max_tokens"),
            ("/chat/background", json!({"model": "hunter2"}), "message"),
            ("/chat/background", json!({"message": long}), "message"),
        ] {
            let refusal = json_of(ann.post(path, body.clone()).await, 422).await;
            let first = &refusal["detail"][0];
            assert_eq!(first["loc"], json!(["body", field]), "{path} {body}");
            assert!(first["msg"].is_string() && first["type"].is_string(), "{refusal}");
            assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        }
        json_of(ann.post("/chat", json!({"message": "x".repeat(1_000), "temperature": 2})).await, 200).await;
        for (name, email) in [("ANN", "other@example.com"), ("other", "Ann@example.com")] {
            let taken = json_of(post(&service, "/auth/register", who(name, email, PASSWORD)).await, 400).await;
            assert!(taken["detail"].is_string(), "{taken}");
        }
        let wrong = post(&service, "/auth/login", json!({"username": "ann", "password": "another password"})).await;
        assert_eq!(wrong.headers()["www-authenticate"], "Bearer");
        assert!(json_of(wrong, 401).await["detail"].is_string());
    }

    async fn tasks_of_others_are_not_there(service: Service) {
        let (ann, bob) = (user(&service, "ann").await, user(&service, "bob").await);
        let task = json_of(bob.post("/chat/background", json!({"message": "mine"})).await, 200).await;
        for id in [text(&task["task_id"]), "018bcfe5-6800-7000-8000-00000000002a".to_owned(), "none".to_owned()] {
            let answer = ann.request(Method::GET, &format!("/chat/tasks/{id}")).send().await.unwrap();
            assert!(json_of(answer, 404).await["detail"].is_string(), "{id}");
        }
        assert_eq!(ann.get("/conversations").await, json!([]));
    }

    async fn conversations_come_in_pages(service: Service) {
        let ann = user(&service, "ann").await;
        for number in 0..25 {
            json_of(ann.post("/chat", json!({"message": format!("number {number}")})).await, 200).await;
        }
        let firsts = |page: &Value| -> Vec<String> {
            page.as_array().unwrap().iter().map(|it| text(&it["messages"][0]["content"])).collect()
        };
        let newest: Vec<_> = (0..25).rev().map(|number| format!("number {number}")).collect();
        assert_eq!(firsts(&ann.get("/conversations").await), newest[..20], "there is an end to it");
        assert_eq!(firsts(&ann.get("/conversations?limit=3&offset=22").await), newest[22..]);
        assert_eq!(firsts(&ann.get("/conversations?limit=1000").await), newest, "no more than a hundred, then");
        assert_eq!(ann.get("/conversations?offset=25").await, json!([]));
        let refused = ann.request(Method::GET, "/conversations?limit=0").send().await.unwrap();
        assert_eq!(json_of(refused, 422).await["detail"][0]["loc"], json!(["query", "limit"]));
        // Longer than is read at once.
        let session = ann.get("/api/v1/sessions?limit=1").await[0]["session_id"].clone();
        for number in 0..40 {
            json_of(ann.post("/api/v1/chat", json!({"message": format!("more {number}"), "session_id": session})).await, 200).await;
        }
        let messages = ann.get("/conversations?limit=1").await[0]["messages"].as_array().unwrap().len();
        assert_eq!(messages, 82);
    }
}
