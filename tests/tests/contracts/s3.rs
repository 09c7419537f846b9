//! S3: sessions and messages, with a key.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::stage::{Play, Stage};
use tests::{Service, on_both_engines};

use super::{Answer, curl, has, has_all, is_moment, json_of, text, user};

const KEY: &str = "your_api_key_of_so_many_characters";
const CREATE: &str = r#"curl -X POST http://localhost:8000/api/v1/sessions/ -H "X-API-Key: your_api_key" \
  -H "Content-Type: application/json" -d '{"session_name": "Travel", "is_favorite": true}'"#;
const LIST: &str = r#"curl http://localhost:8000/api/v1/sessions/ -H "X-API-Key: your_api_key""#;
const SHOW: &str = r#"curl http://localhost:8000/api/v1/sessions/{session_id} -H "X-API-Key: your_api_key""#;
const CHANGE: &str = r#"curl -X PATCH http://localhost:8000/api/v1/sessions/{session_id} -H "X-API-Key: your_api_key" \
  -H "Content-Type: application/json" -d '{"session_name": "Holidays", "is_favorite": false}'"#;
const DELETE: &str =
    r#"curl -X DELETE http://localhost:8000/api/v1/sessions/{session_id} -H "X-API-Key: your_api_key""#;
const ADD: &str = r#"curl -X POST http://localhost:8000/api/v1/sessions/{session_id}/messages \
  -H "X-API-Key: your_api_key" -H "Content-Type: application/json" -d '{"content": "Where to?", "role": "user"}'"#;
const MESSAGES: &str =
    r#"curl http://localhost:8000/api/v1/sessions/{session_id}/messages -H "X-API-Key: your_api_key""#;
const DELETE_MESSAGE: &str =
    r#"curl -X DELETE http://localhost:8000/api/v1/messages/{message_id} -H "X-API-Key: your_api_key""#;

/// With the key of the service.
struct Keyed(Service);

impl Play for Keyed {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("API_KEY", KEY)]).await)
    }
}

impl Keyed {
    async fn curl(&self, command: &str, got: &[(&str, &str)]) -> Answer {
        let got: Vec<_> = got.iter().copied().chain([("your_api_key", KEY)]).collect();
        curl(&self.0, command, &got).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Response {
        let request = self.0.request(method, path).header("x-api-key", KEY);
        if body.is_null() { request } else { request.json(&body) }.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.send(Method::GET, path, Value::Null).await, 200).await
    }

    async fn session(&self, name: &str) -> String {
        let made = self.send(Method::POST, "/api/v1/sessions", json!({"session_name": name})).await;
        text(&json_of(made, 201).await["session_id"])
    }

    async fn add(&self, session: &str, content: &str) -> Value {
        let path = format!("/api/v1/sessions/{session}/messages/");
        json_of(self.send(Method::POST, &path, json!({"content": content})).await, 201).await
    }
}

fn each(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|it| text(&it[field])).collect()
}

on_both_engines! {
    async fn every_endpoint_does_what_it_says(keyed: Keyed) {
        let made = keyed.curl(CREATE, &[]).await.json(201);
        has(&made, json!({"session_name": "Travel", "is_favorite": true}));
        has_all(&made, &["session_id", "user_id"]);
        is_moment(&made["created_at"]);
        is_moment(&made["updated_at"]);
        let id = text(&made["session_id"]);
        let got = [("{session_id}", id.as_str())];
        assert_eq!(keyed.curl(LIST, &[]).await.json(200), json!([made]));
        assert_eq!(keyed.curl(SHOW, &got).await.json(200), made);
        let changed = keyed.curl(CHANGE, &got).await.json(200);
        has(&changed, json!({"session_id": id, "session_name": "Holidays", "is_favorite": false}));
        assert!(text(&changed["updated_at"]) > text(&made["updated_at"]));

        let added = keyed.curl(ADD, &got).await.json(201);
        has(&added, json!({"session_id": id, "role": "user", "content": "Where to?"}));
        is_moment(&added["created_at"]);
        is_moment(&added["updated_at"]);
        let message = text(&added["message_id"]);
        let messages = keyed.curl(MESSAGES, &got).await.json(200);
        assert_eq!(each(&messages, "message_id"), [message.as_str()], "no reply was made");
        let deleted = keyed.curl(DELETE_MESSAGE, &[("{message_id}", &message)]).await.json(200);
        has(&deleted, json!({"message_id": message, "content": "Where to?"}));
        assert_eq!(keyed.curl(MESSAGES, &got).await.json(200), json!([]));
        assert_eq!(keyed.curl(DELETE_MESSAGE, &[("{message_id}", &message)]).await.status, 404);
        has_all(&keyed.curl(DELETE, &got).await.json(200), &["detail"]);
        for command in [SHOW, CHANGE, DELETE, ADD, MESSAGES] {
            assert!(keyed.curl(command, &got).await.json(404)["detail"].is_string(), "{command}");
        }
        let alive = keyed.0.request(Method::GET, "/healthz").send().await.unwrap();
        assert_eq!(alive.status(), 200, "no key is asked for");
    }

    async fn a_key_is_asked_for(keyed: Keyed) {
        for key in [None, Some("another_api_key_of_so_many_characters"), Some("")] {
            for path in ["/api/v1/sessions/", "/api/v1/sessions/018bcfe5-6800-7000-8000-00000000002a/messages"] {
                let request = keyed.0.request(Method::GET, path);
                let request = match key {
                    Some(key) => request.header("x-api-key", key),
                    None => request,
                };
                assert_eq!(request.send().await.unwrap().status(), 401, "{key:?} {path}");
            }
        }
        let ann = user(&keyed.0, "ann").await;
        keyed.session("of the key").await;
        assert_eq!(ann.get("/api/v1/sessions/").await, json!([]), "the key is a user of its own");
        let key = json_of(ann.post("/api/v1/keys", json!({"name": "of ann"})).await, 201).await;
        json_of(ann.post("/api/v1/sessions/", json!({"session_name": "of ann"})).await, 201).await;
        let by_key = keyed.0.request(Method::GET, "/api/v1/sessions/").header("x-api-key", text(&key["key"]));
        assert_eq!(each(&json_of(by_key.send().await.unwrap(), 200).await, "session_name"), ["of ann"]);
    }

    async fn lists_come_newest_first_and_in_pages(keyed: Keyed) {
        for number in 0..22 {
            keyed.session(&format!("session {number}")).await;
        }
        let names = |list: &Value| each(list, "session_name");
        let newest: Vec<_> = (0..22).rev().map(|number| format!("session {number}")).collect();
        for slash in ["", "/"] {
            assert_eq!(names(&keyed.get(&format!("/api/v1/sessions{slash}")).await), newest[..20]);
            assert_eq!(names(&keyed.get(&format!("/api/v1/sessions{slash}?skip=20&limit=5")).await), newest[20..]);
            assert_eq!(names(&keyed.get(&format!("/api/v1/sessions{slash}?limit=101")).await), newest);
        }
        let session = keyed.session("long").await;
        for number in 0..101 {
            keyed.add(&session, &format!("message {number}")).await;
        }
        let newest: Vec<_> = (0..101).rev().map(|number| format!("message {number}")).collect();
        let page = async |query: &str| each(&keyed.get(&format!("/api/v1/sessions/{session}/messages{query}")).await, "content");
        assert_eq!(page("").await, newest[..20]);
        assert_eq!(page("?limit=1000").await, newest[..100]);
        assert_eq!(page("?offset=99&limit=5").await, newest[99..]);
    }

    async fn what_changed_last_comes_first(keyed: Keyed) {
        let names = async || each(&keyed.get("/api/v1/sessions/").await, "session_name");
        let (first, second) = (keyed.session("first").await, keyed.session("second").await);
        keyed.session("third").await;
        assert_eq!(names().await, ["third", "second", "first"]);
        keyed.add(&first, "something new").await;
        assert_eq!(names().await, ["first", "third", "second"], "who looks for what goes on finds it there");
        let change = json!({"is_favorite": true});
        let changed = keyed.send(Method::PATCH, &format!("/api/v1/sessions/{second}"), change).await;
        assert_eq!(json_of(changed, 200).await["is_favorite"], true);
        assert_eq!(names().await, ["second", "first", "third"]);
    }

    async fn a_message_may_be_anybodys(keyed: Keyed) {
        let session = keyed.session("of all").await;
        let path = format!("/api/v1/sessions/{session}/messages");
        for (role, kept) in [("user", "user"), ("bot", "assistant"), ("assistant", "assistant"), ("system", "system")] {
            let added = keyed.send(Method::POST, &path, json!({"content": "hi", "role": role})).await;
            has(&json_of(added, 201).await, json!({"role": kept, "content": "hi"}));
        }
        let refused = keyed.send(Method::POST, &path, json!({"content": "hi", "role": "robot"})).await;
        assert_eq!(json_of(refused, 422).await["errors"][0]["field"], "role");
        assert_eq!(each(&keyed.get(&path).await, "role"), ["system", "assistant", "assistant", "user"]);
    }

    async fn what_is_no_id_is_not_there(keyed: Keyed) {
        for id in ["none", "1", "018bcfe5-6800-7000-8000-00000000002a"] {
            for (method, path, body) in [
                (Method::GET, format!("/api/v1/sessions/{id}"), Value::Null),
                (Method::PATCH, format!("/api/v1/sessions/{id}/"), json!({"session_name": "mine"})),
                (Method::DELETE, format!("/api/v1/sessions/{id}"), Value::Null),
                (Method::GET, format!("/api/v1/sessions/{id}/messages"), Value::Null),
                (Method::POST, format!("/api/v1/sessions/{id}/messages"), json!({"content": "hi"})),
                (Method::DELETE, format!("/api/v1/messages/{id}/"), Value::Null),
            ] {
                let answer = keyed.send(method.clone(), &path, body).await;
                assert!(json_of(answer, 404).await["detail"].is_string(), "{method} {path}");
            }
        }
        let made = keyed.send(Method::POST, "/api/v1/sessions/", json!({})).await;
        assert_eq!(made.status(), 422);
    }

    async fn vectors_are_kept_and_asked(keyed: Keyed) {
        let session = keyed.session("vectors").await;
        for (content, vector) in [("east", [1.0, 0.0]), ("north", [0.0, 1.0])] {
            let id = text(&keyed.add(&session, content).await["message_id"]);
            let body = json!({"model": "mine", "vector": vector});
            let kept = keyed.send(Method::PUT, &format!("/api/v1/messages/{id}/embedding"), body).await;
            assert_eq!(kept.status(), 200);
        }
        for asked in [json!({"vector": [0.1, 0.9], "model": "mine", "mode": "semantic"}), json!({"query": "north", "mode": "text"})] {
            let found = json_of(keyed.send(Method::POST, "/api/v1/search", asked).await, 200).await;
            let first = &found["results"][0];
            has(first, json!({"session_id": session, "role": "user"}));
            has_all(first, &["message_id", "snippet", "score", "created_at"]);
            assert!(text(&first["snippet"]).contains("north"), "{found}");
        }
    }
}
