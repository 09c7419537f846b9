//! S1: by email under `/api`, conversations, replies as they grow.

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::socket::text_of;
use tests::{Service, Socket, on_both_engines};

use super::{Asking, Client, PASSWORD, curl, has, has_all, is_moment, json_of, post, text};

const REGISTER: &str = r#"curl -sS -X POST "http://127.0.0.1:8000/api/auth/register" \
  -H "Content-Type: application/json" \
  -d '{"email":"user@example.com","password":"SuperSecret123!"}'"#;
const LOGIN: &str = r#"curl -sS -X POST "http://127.0.0.1:8000/api/auth/login" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=user@example.com&password=SuperSecret123!""#;
const CHAT: &str = r#"curl -sS -X POST "http://127.0.0.1:8000/api/chat" \
   -H "Content-Type: application/json" \
   -H "Authorization: Bearer <ACCESS_TOKEN>" \
   -d '{"message":"Hello, how are you?","session_id":null}'"#;
const STREAM: &str = r#"curl -N -sS -H "Accept: text/event-stream" \
   -H "Authorization: Bearer <ACCESS_TOKEN>" \
   -X POST "http://127.0.0.1:8000/api/chat/stream" \
   -H "Content-Type: application/json" \
   -d '{"message":"Stream me a poem about autumn","session_id":null}'"#;
const HISTORY: &str = r#"curl -sS -X GET "http://127.0.0.1:8000/api/history?page=1&per_page=20" \
   -H "Authorization: Bearer <ACCESS_TOKEN>""#;
const ME: &str = r#"curl -sS -X GET "http://127.0.0.1:8000/api/users/me" \
   -H "Authorization: Bearer <ACCESS_TOKEN>""#;

/// Signed in by the document's commands.
async fn user(service: &Service) -> Client<'_> {
    let registered = curl(service, REGISTER, &[]).await.json(201);
    has(&registered, json!({"email": "user@example.com"}));
    has_all(&registered, &["id"]);
    is_moment(&registered["created_at"]);
    let token = curl(service, LOGIN, &[]).await.json(200);
    has(&token, json!({"token_type": "bearer", "expires_in": 900}));
    Client { service, token: text(&token["access_token"]) }
}

async fn refused(who: &Client<'_>, method: Method, path: &str, body: Value, status: u16) -> String {
    let answer = who.request(method, path).json(&body).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    text(&json_of(answer, status).await["detail"])
}

/// The names of server-sent events, in order, and the text that they bring together.
fn events(stream: &str) -> (Vec<&str>, String) {
    let lines = |name: &'static str| stream.lines().filter_map(move |line| line.strip_prefix(name));
    let data = lines("data: ").map(|data| serde_json::from_str::<Value>(data).unwrap());
    let said = data.filter_map(|data| data["text"].as_str().map(str::to_owned)).collect();
    (lines("event: ").collect(), said)
}

on_both_engines! {
    async fn every_command_does_what_it_says(service: Service) {
        let ann = user(&service).await;
        let got = [("<ACCESS_TOKEN>", ann.token.as_str())];
        let reply = curl(&service, CHAT, &got).await.json(200);
        has(&reply, json!({
            "reply": "You said: 'Hello, how are you?'. I'm a simple bot, but I heard you!",
            "model": "rules",
            "usage": {"tokens": 0},
        }));
        has_all(&reply, &["message_id", "session_id"]);
        is_moment(&reply["created_at"]);

        let streamed = curl(&service, STREAM, &got).await;
        assert_eq!((streamed.status, streamed.headers["content-type"].as_str()), (200, "text/event-stream"));
        let said = "You said: 'Stream me a poem about autumn'. I'm a simple bot, but I heard you!";
        assert_eq!(events(&streamed.text), (vec!["message.started", "delta", "message.completed"], said.to_owned()));

        let history = curl(&service, HISTORY, &got).await.json(200);
        has(&history, json!({"page": 1, "per_page": 20, "total": 2}));
        let items = history["items"].as_array().unwrap();
        assert_eq!((items.len(), &items[0]["last_message"]), (2, &json!(said)), "the newest comes first");
        has(&items[1], json!({"session_id": reply["session_id"], "last_message": reply["reply"]}));
        is_moment(&items[1]["updated_at"]);
        let me = curl(&service, ME, &got).await.json(200);
        has(&me, json!({"email": "user@example.com", "is_active": true}));
        has_all(&me, &["id"]);

        // The Python example signs in so, and goes on in the conversation.
        let login = json!({"email": "user@example.com", "password": "SuperSecret123!"});
        has_all(&json_of(post(&service, "/api/auth/login", login).await, 200).await, &["access_token", "expires_in"]);
        let more = ann.post("/api/chat", json!({"message": "more", "session_id": reply["session_id"]})).await;
        assert_eq!(json_of(more, 200).await["session_id"], reply["session_id"]);
        assert_eq!(ann.get("/api/history").await["total"], 2);
    }

    async fn a_reply_comes_in_chunks_and_then_the_completion(on: Asking) {
        let ann = user(&on.service).await;
        on.says(&["Leaves ", "fall."]);
        let streamed = curl(&on.service, STREAM, &[("<ACCESS_TOKEN>", &ann.token)]).await;
        let (names, said) = events(&streamed.text);
        assert_eq!((names.first(), names.last(), said.as_str()), (Some(&"message.started"), Some(&"message.completed"), "Leaves fall."));
        assert!(names[1..names.len() - 1].iter().all(|name| *name == "delta"), "{names:?}");

        let said = json!({"message": "Tell me a short story about a curious fox", "session_id": null});
        let bearer = format!("Bearer {}", ann.token);
        for (query, headers) in [
            (format!("?token={}", ann.token), vec![]),
            (String::new(), vec![("authorization", bearer.as_str())]),
        ] {
            on.says(&["Once ", "upon ", "a time."]);
            let mut socket = Socket::open_at(on.service.node.address(), "/api/chat/ws", &query, &headers).await.unwrap();
            socket.say(said.clone()).await;
            let frames = socket.reply().await;
            assert_eq!(frames.last().unwrap()["type"], "message.completed", "{frames:?}");
            assert_eq!(text_of(&frames, &frames[0]["id"]), "Once upon a time.");
        }
        let refused = Socket::open_at(on.service.node.address(), "/api/chat/ws", "?token=nonsense", &[]).await;
        assert_eq!(refused.err(), Some(401));
    }

    async fn a_socket_opens_with_a_ticket_once(service: Service) {
        let ann = user(&service).await;
        let ticket = json_of(ann.post("/api/v1/chat/ws-ticket", json!({})).await, 200).await;
        let query = format!("?ticket={}", text(&ticket["ticket"]));
        let open = async || Socket::open_at(service.node.address(), "/api/chat/ws", &query, &[]).await;
        let mut socket = open().await.unwrap();
        socket.say(json!({"message": "hello", "session_id": null})).await;
        let frames = socket.reply().await;
        assert_eq!(text_of(&frames, &frames[0]["id"]), "Hello! How can I help you today?");
        assert_eq!(open().await.err(), Some(401));
    }

    async fn what_a_reply_took_is_told(on: Asking) {
        let ann = user(&on.service).await;
        on.says(&["Leaves ", "fall."]);
        let reply = json_of(ann.post("/api/chat", json!({"message": "hi"})).await, 200).await;
        has(&reply, json!({"reply": "Leaves fall.", "usage": {"tokens": 9}}));
    }

    async fn a_key_that_may_only_read_is_told_so(service: Service) {
        let ann = user(&service).await;
        let key = json_of(ann.post("/api/v1/keys", json!({"name": "reader", "scopes": ["chat:read"]})).await, 201).await;
        let by_key = |method, path| service.request(method, path).header("x-api-key", text(&key["key"]));
        for path in ["/api/chat", "/api/chat/stream"] {
            let answer = by_key(Method::POST, path).json(&json!({"message": "hi"})).send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "application/json");
            let refusal = json_of(answer, 403).await;
            assert_eq!(refusal, json!({"detail": refusal["detail"].as_str().unwrap()}), "{path}");
        }
        let history = by_key(Method::GET, "/api/history").send().await.unwrap();
        assert_eq!(json_of(history, 200).await["total"], 0);
    }

    async fn a_provider_that_fails_is_a_failure_of_the_server(on: Asking) {
        let ann = user(&on.service).await;
        on.fake.then(Script::fails(400));
        refused(&ann, Method::POST, "/api/chat", json!({"message": "hi"}), 500).await;
        on.fake.then(Script::rate_limited(60));
        refused(&ann, Method::POST, "/api/chat", json!({"message": "hi"}), 429).await;
    }

    async fn what_is_wrong_is_said_in_one_line(service: Service) {
        let ann = user(&service).await;
        let long = "hunter2".repeat(20);
        for (path, body) in [
            ("/api/auth/register", json!({"email": "hunter2", "password": PASSWORD})),
            ("/api/auth/register", json!({"email": "new@example.com", "password": "hunter2"})),
            ("/api/auth/register", json!({"email": "new@example.com", "password": long})),
            ("/api/auth/register", json!({"email": "User@Example.com", "password": "hunter2 hunter2"})),
            ("/api/auth/register", json!({"email": "new@example.com"})),
            ("/api/auth/login", json!({"username": "hunter2", "password": PASSWORD})),
            ("/api/auth/login", json!({"email": "user@example.com"})),
            ("/api/chat", json!({"message": ""})),
            ("/api/chat", json!({"session_id": "hunter2"})),
        ] {
            let detail = refused(&ann, Method::POST, path, body.clone(), 400).await;
            assert!(!detail.contains("hunter2"), "{path} {body}: {detail}");
        }
        let form = [("username", "hunter2"), ("password", PASSWORD)];
        let answer = service.request(Method::POST, "/api/auth/login").form(&form).send().await.unwrap();
        assert!(json_of(answer, 400).await["detail"].is_string(), "no email");
        for query in ["page=0", "per_page=0", "page=many"] {
            refused(&ann, Method::GET, &format!("/api/history?{query}"), json!({}), 400).await;
        }
        let wrong = json!({"email": "user@example.com", "password": "another password"});
        refused(&ann, Method::POST, "/api/auth/login", wrong, 401).await;
        let nobody = Client { service: &service, token: "nonsense".to_owned() };
        for path in ["/api/users/me", "/api/history"] {
            refused(&nobody, Method::GET, path, json!({}), 401).await;
        }
        let bob = json!({"email": "bob@example.com", "password": PASSWORD});
        json_of(post(&service, "/api/auth/register", bob.clone()).await, 201).await;
        let bob = json_of(post(&service, "/api/auth/login", bob).await, 200).await;
        let bob = Client { service: &service, token: text(&bob["access_token"]) };
        let theirs = json_of(bob.post("/api/chat", json!({"message": "mine"})).await, 200).await["session_id"].clone();
        for session in [theirs, json!("018bcfe5-6800-7000-8000-00000000002a"), json!("none")] {
            for path in ["/api/chat", "/api/chat/stream"] {
                refused(&ann, Method::POST, path, json!({"message": "hi", "session_id": session}), 404).await;
            }
        }
    }

    async fn a_history_has_pages(service: Service) {
        let ann = user(&service).await;
        for number in 0..23 {
            json_of(ann.post("/api/chat", json!({"message": format!("number {number}")})).await, 200).await;
        }
        for (query, page, per_page, there) in [("", 1, 20, 20), ("?page=2", 2, 20, 3), ("?page=3", 3, 20, 0),
            ("?page=5&per_page=5", 5, 5, 3), ("?per_page=1000", 1, 100, 23), ("?page=4000000000&per_page=100", 4_000_000_000_u32, 100, 0)] {
            let history = ann.get(&format!("/api/history{query}")).await;
            has(&history, json!({"page": page, "per_page": per_page, "total": 23}));
            assert_eq!(history["items"].as_array().unwrap().len(), there, "{query}");
        }
        json_of(ann.post("/api/chat", json!({"message": "x".repeat(3_000)})).await, 200).await;
        let last = text(&ann.get("/api/history?per_page=1").await["items"][0]["last_message"]);
        assert_eq!(last.chars().count(), 1_000, "of what is long, the beginning");
        json_of(ann.post("/api/v1/sessions", json!({"session_name": "empty"})).await, 201).await;
        assert_eq!(ann.get("/api/history?per_page=1").await["items"][0]["last_message"], "");
    }
}
