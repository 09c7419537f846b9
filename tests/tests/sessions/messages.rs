//! Messages by themselves: kept without a reply, paged both ways, rated, deleted; texts of every kind.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

use super::{ask, each, get, json_of, next, send, session};

async fn add(who: &Persona<'_>, session: &str, body: Value) -> Value {
    ask(who, Method::POST, &format!("/api/v1/sessions/{session}/messages"), body, 201).await
}

on_both_engines! {
    async fn a_message_is_kept_and_nobody_answers(app: TestApp) {
        let ann = app.user("ann").await;
        let room = session(&ann, "room").await;
        for (role, kept) in [(None, "user"), (Some("user"), "user"), (Some("assistant"), "assistant"), (Some("bot"), "assistant"), (Some("system"), "system")] {
            let body = role.map_or_else(|| json!({"content": "hi"}), |role| json!({"content": "hi", "role": role}));
            let message = add(&ann, &room, body).await;
            assert_eq!((&message["role"], &message["content"], &message["session_id"]), (&json!(kept), &json!("hi"), &json!(room)));
            let shown = get(&ann, &format!("/api/v1/messages/{}", message["message_id"].as_str().unwrap())).await;
            assert_eq!(shown["created_at"], message["created_at"]);
        }
        let list = get(&ann, &format!("/api/v1/sessions/{room}/messages/")).await;
        assert_eq!(each(&list, "role"), ["system", "assistant", "assistant", "user", "user"], "newest first");
        let path = format!("/api/v1/sessions/{room}/messages");
        for body in [json!({}), json!({"content": ""}), json!({"content": "x", "role": "robot"}), json!({"content": 7}),
            json!({"content": "a\u{0}"}), json!({"content": "x".repeat(32_001)})] {
            assert_eq!(send(&ann, Method::POST, &path, body).await.status(), 422);
        }
        let unknown = send(&ann, Method::POST, "/api/v1/sessions/none/messages", json!({"content": "x"})).await;
        assert_eq!(unknown.status(), 404);
    }

    async fn a_repeated_request_keeps_one_message(app: TestApp) {
        let ann = app.user("ann").await;
        let room = session(&ann, "room").await;
        let add = async |content: &str| {
            let request = ann.request(Method::POST, &format!("/api/v1/sessions/{room}/messages"));
            request.header("idempotency-key", "k").json(&json!({"content": content})).send().await.unwrap()
        };
        let answers = join_all((0..10).map(|_| add("one"))).await;
        let mut ids = Vec::new();
        for answer in answers {
            ids.push(json_of(answer, 201).await["message_id"].clone());
        }
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(add("two").await.status(), 422);
        assert_eq!(get(&ann, &format!("/api/v1/sessions/{room}")).await["messages"], 1);
    }

    async fn messages_are_paged_both_ways(app: TestApp) {
        let ann = app.user("ann").await;
        let room = session(&ann, "room").await;
        for number in 0..9 {
            add(&ann, &room, json!({"content": number.to_string()})).await;
        }
        let path = format!("/api/v1/sessions/{room}/messages");
        let contents = |page: &Value| each(page, "content").concat();
        assert_eq!(contents(&get(&ann, &format!("{path}?limit=4")).await), "8765");
        assert_eq!(contents(&get(&ann, &format!("{path}?limit=4&offset=4")).await), "4321");
        assert_eq!(contents(&get(&ann, &format!("{path}?limit=4&offset=8")).await), "0");
        let (mut seen, mut query) = (String::new(), Some("limit=4".to_owned()));
        while let Some(page) = query {
            let answer = ann.request(Method::GET, &format!("{path}?{page}")).send().await.unwrap();
            query = next(&answer);
            seen += &contents(&json_of(answer, 200).await);
        }
        assert_eq!(seen, "876543210");
        let (mut seen, mut query) = (String::new(), Some("limit=4&after=0".to_owned()));
        while let Some(page) = query {
            let answer = ann.request(Method::GET, &format!("{path}?{page}")).send().await.unwrap();
            query = next(&answer);
            seen.extend(contents(&json_of(answer, 200).await).chars().rev());
        }
        assert_eq!(seen, "012345678", "the oldest of those after");
        for query in ["limit=0", "offset=-1", "before=1&after=1", "branch=none"] {
            let answer = ann.request(Method::GET, &format!("{path}?{query}")).send().await.unwrap();
            assert_eq!(answer.status(), 422, "{query}");
        }
    }

    async fn a_message_is_rated_and_thought_better_of(app: TestApp) {
        let ann = app.user("ann").await;
        let answer = ann.say("hello", None).await;
        let path = format!("/api/v1/messages/{}", answer["message_id"].as_str().unwrap());
        for rating in [json!("up"), json!("down"), Value::Null] {
            let rated = ask(&ann, Method::PUT, &format!("{path}/rating"), json!({"rating": rating}), 200).await;
            assert_eq!((&rated["rating"], &get(&ann, &path).await["rating"]), (&rating, &rating));
        }
        for rating in [json!("great"), json!(1)] {
            let refused = send(&ann, Method::PUT, &format!("{path}/rating"), json!({"rating": rating})).await;
            assert_eq!(refused.status(), 422);
        }
    }

    async fn a_deleted_message_is_gone_and_what_followed_it_stays(app: TestApp) {
        let ann = app.user("ann").await;
        let room = session(&ann, "room").await;
        let mut ids = Vec::new();
        for content in ["one", "two", "three"] {
            ids.push(add(&ann, &room, json!({"content": content})).await["message_id"].as_str().unwrap().to_owned());
        }
        let path = format!("/api/v1/messages/{}", ids[1]);
        let deleted = json_of(ann.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
        assert_eq!((&deleted["content"], &deleted["message_id"]), (&json!("two"), &json!(ids[1])));
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(ann.request(method, &path).send().await.unwrap().status(), 404);
        }
        let list = get(&ann, &format!("/api/v1/sessions/{room}/messages")).await;
        assert_eq!(each(&list, "content"), ["three", "one"]);
        assert_eq!(list[0]["parent_id"], json!(ids[0]));
        assert_eq!(get(&ann, &format!("/api/v1/sessions/{room}")).await["messages"], 2);
        json_of(ann.request(Method::DELETE, &format!("/api/v1/messages/{}", ids[2])).send().await.unwrap(), 200).await;
        assert_eq!(get(&ann, &format!("/api/v1/sessions/{room}")).await["leaf_id"], json!(ids[0]));
        let next = add(&ann, &room, json!({"content": "four"})).await;
        assert_eq!(next["parent_id"], json!(ids[0]));
    }

    // As they were sent, or refused: never a bit different.
    async fn texts_come_back_as_they_were_sent(app: TestApp) {
        let ann = app.user("ann").await;
        let room = session(&ann, "room").await;
        let long = "한🎈x".repeat(10_666);
        for text in ["# Title\n\n* **bold** `code`\n\n```rust\nfn main() {}\n```\n", "<script>alert('x')</script> &amp; <b>",
            "\u{1}\u{7}\u{1b}[31mred\u{1b}[0m\u{7f}\u{85}", "👩‍👩‍👧‍👦🏳️‍🌈", "مرحبا \u{202e}abc\u{202c} שלום", " \t padded \r\n", &long, "'; drop table messages; --",
            "\u{feff}\u{200b}x", "e\u{301} é"] {
            let added = add(&ann, &room, json!({"content": text})).await;
            assert_eq!(added["content"], json!(text));
            let list = get(&ann, &format!("/api/v1/sessions/{room}/messages?limit=1")).await;
            assert_eq!(list[0]["content"], json!(text));
        }
        let path = format!("/api/v1/sessions/{room}/messages");
        let refused = send(&ann, Method::POST, &path, json!({"content": "x".repeat(100_000)})).await;
        let problem = json_of(refused, 422).await;
        assert_eq!(problem["errors"], json!([{"field": "content", "message": "must have at most 32000 characters"}]));
    }
}
