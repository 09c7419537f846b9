//! A request is one turn, however many messages it brings along; and what is refused leaves nothing behind.

use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::{Stage, on_both_engines};

use super::{MODEL, Site, ask, json_of, of_request, refused, session, user};

fn long() -> Value {
    json!({"model": MODEL, "messages": [{"role": "system", "content": "Be brief."}, user("one"), {"role": "assistant", "content": "two"}, user("three")]})
}

on_both_engines! {
    async fn many_messages_are_one_turn_and_a_refused_one_leaves_none(stage: Stage) {
        let on = Site::start(stage, &[("RATE_LIMIT_USER", "2/minute"), ("RATE_LIMIT_SERVICE", "100/minute")]).await;
        let ann = on.program("ann").await;
        for _ in 0..2 {
            json_of(ann.complete(long()).await, 200).await;
        }
        let answer = ann.complete(long()).await;
        let wait: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(answer.headers().contains_key("ratelimit-policy"));
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
        assert_eq!(ann.canonical("/api/v1/sessions").await.as_array().unwrap().len(), 2);
        assert_eq!(ann.canonical("/api/v1/chat/rate-limit").await["user"]["current"], 2);
        assert_eq!(on.told().len(), 2);
    }

    async fn who_has_spent_a_budget_has_no_quota(stage: Stage) {
        let on = Site::start(stage, &[("BUDGET_USER_TOKENS", "40/day")]).await;
        let ann = on.program("ann").await;
        let most = |most: u32, content: &str| json!({"model": MODEL, "max_tokens": most, "messages": [user(content), user("hello")]});
        // What comes along is asked for as well.
        for body in [most(39, "hello"), most(10, &"word ".repeat(40)), ask("hello")] {
            let answer = ann.complete(body).await;
            assert!(answer.headers().contains_key("retry-after") && !answer.headers().contains_key("x-should-retry"));
            let quota = json!("insufficient_quota");
            assert_eq!(refused(answer, 429).await, [quota.clone(), Value::Null, quota]);
        }
        assert_eq!(ann.canonical("/api/v1/sessions").await, json!([]));
        json_of(ann.complete(most(10, "hello")).await, 200).await;
    }

    async fn what_is_refused_leaves_nothing_behind(on: Site) {
        let ann = on.program("ann").await;
        let with = |name: &str, value: Value| {
            let mut body = long();
            body[name] = value;
            body
        };
        let after = |last: Value| with("messages", json!([user("one"), last]));
        for (body, param) in [
            (with("temperature", json!(2.1)), "temperature"),
            (with("max_tokens", json!(0)), "max_tokens"),
            (with("max_completion_tokens", json!(0)), "max_completion_tokens"),
            (with("messages", json!([])), "messages"),
            (with("messages", json!([{"role": "system", "content": "Be brief."}])), "messages"),
            (after(json!({"role": "assistant", "content": "half a"})), "messages"),
            (after(json!({"role": "user", "content": " "})), "messages"),
            (after(json!({"role": "user", "content": "x".repeat(32_001)})), "messages"),
            (after(json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]})), "messages"),
            (with("messages", json!([{"role": "tool", "tool_call_id": "1", "content": "4"}, user("so?")])), "messages"),
            (with("messages", json!([{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}, user("so?")])), "messages"),
            (with("messages", json!([{"role": "assistant", "content": "x".repeat(32_001)}, user("so?")])), "messages"),
            (with("messages", json!(vec![user("again"); 513])), "messages"),
        ] {
            assert_eq!(refused(ann.complete(body).await, 400).await, of_request(Some(param), "invalid_value"), "{param}");
        }
        assert_eq!(ann.canonical("/api/v1/sessions").await, json!([]));
        let many = ann.complete(with("messages", json!(vec![user("again"); 512]))).await;
        let id = session(&many);
        json_of(many, 200).await;
        assert_eq!(ann.canonical(&format!("/api/v1/sessions/{id}")).await["messages"], 513);
    }

    async fn a_providers_refusal_is_told_with_where_it_happened(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::fails(400));
        let answer = ann.complete(long()).await;
        assert_eq!(answer.headers()["x-should-retry"], "false");
        assert_eq!(ann.said(&session(&answer)).await.len(), 5);
        assert_eq!(refused(answer, 502).await, [json!("server_error"), Value::Null, json!("provider_refused")]);
        on.fake.then(Script::rate_limited(77));
        let answer = ann.complete(long()).await;
        assert_eq!(answer.headers()["retry-after"], "77");
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
    }
}
