//! A completion as it grows.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::app::Options;
use tests::fake_provider::Script;
use tests::{FakeProvider, Stage, TestApp, on_both_engines};

use super::{MODEL, Site, json_of, of_request, refused, session, text, user};

fn streamed(options: &Value) -> Value {
    json!({"model": MODEL, "messages": [user("hello")], "stream": true, "stream_options": options})
}

/// What stands behind each `data:`, and nothing else is there.
async fn data(answer: Response) -> Vec<String> {
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    let body = answer.text().await.unwrap();
    let pieces = body.split_terminator("\n\n").filter(|piece| !piece.starts_with(':'));
    pieces.map(|piece| piece.strip_prefix("data: ").unwrap_or_else(|| panic!("{body}")).to_owned()).collect()
}

async fn until_done(answer: Response) -> Vec<String> {
    let mut data = data(answer).await;
    assert_eq!(data.pop().as_deref(), Some("[DONE]"));
    data
}

fn chunks(data: &[String]) -> Vec<Value> {
    data.iter().map(|piece| serde_json::from_str(piece).unwrap()).collect()
}

/// The text that chunks bring together.
fn content(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

on_both_engines! {
    async fn it_comes_in_chunks_and_ends_with_done(on: Site) {
        let ann = on.program("ann").await;
        for includes_usage in [false, true] {
            on.fake.then(Script::says(&["I am ", "fine."]));
            let answer = ann.complete(streamed(&json!({"include_usage": includes_usage}))).await;
            let id = session(&answer);
            for (name, value) in [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")] {
                assert_eq!(answer.headers()[name], value);
            }
            let mut all = chunks(&until_done(answer).await);
            let reply = ann.canonical(&format!("/api/v1/sessions/{id}/messages")).await[0].clone();
            for chunk in &all {
                assert_eq!(chunk["id"], format!("chatcmpl-{}", text(&reply["message_id"])));
                assert_eq!((&chunk["object"], &chunk["model"]), (&json!("chat.completion.chunk"), &json!(MODEL)));
                assert_eq!(chunk["created"], all[0]["created"]);
                assert_eq!(chunk.get("usage").is_some(), includes_usage, "{chunk}");
            }
            if includes_usage {
                let usage = all.pop().unwrap();
                assert_eq!(usage["choices"], json!([]));
                assert_eq!(usage["usage"], json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}));
                assert!(all.iter().all(|chunk| chunk["usage"].is_null()));
            }
            assert_eq!(all[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
            let end = all.last().unwrap();
            assert_eq!(end["choices"], json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}]));
            assert!(all[..all.len() - 1].iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
            assert_eq!(content(&all), "I am fine.");
        }
    }

    async fn what_breaks_off_ends_with_the_error_and_is_not_done(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::cut_after(&["I am "]));
        let all = chunks(&data(ann.complete(streamed(&Value::Null)).await).await);
        assert_eq!(content(&all), "I am ");
        let error = &all.last().unwrap()["error"];
        assert_eq!((&error["type"], &error["param"]), (&json!("server_error"), &Value::Null));
        assert!(error["message"].is_string() && error["code"].is_string(), "{error}");
    }

    // These clients try again by the status, where there is one.
    async fn what_never_begins_has_the_status_of_its_failure(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::fails(400));
        let answer = ann.complete(streamed(&Value::Null)).await;
        assert_eq!(ann.said(&session(&answer)).await.len(), 2);
        assert_eq!(refused(answer, 502).await, [json!("server_error"), Value::Null, json!("provider_refused")]);
        on.fake.then(Script::rate_limited(77));
        let answer = ann.complete(streamed(&Value::Null)).await;
        assert_eq!(answer.headers()["retry-after"], "77");
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
    }

    async fn the_same_request_under_a_key_was_made_when_it_first_came(stage: Stage) {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        let ann = app.user("ann").await;
        let send = async |stream: bool| {
            let request = ann.request(Method::POST, "/v1/chat/completions").header("idempotency-key", "one");
            request.json(&json!({"model": "fake/one", "messages": [user("hello")], "stream": stream})).send().await.unwrap()
        };
        let created = async |answer| {
            let created: Vec<_> = chunks(&until_done(answer).await).iter().map(|chunk| chunk["created"].clone()).collect();
            assert!(created.len() > 2 && created.iter().all(|it| *it == created[0]), "{created:?}");
            created[0].clone()
        };
        let first = created(send(true).await).await;
        assert!(first.is_i64());
        app.clock.advance(60);
        assert_eq!(created(send(true).await).await, first);
        assert_eq!(json_of(send(false).await, 200).await["created"], first);
        assert_eq!(fake.asked().len(), 1);
    }

    async fn who_goes_away_stops_nothing(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::stalls_after(&["to the ", "end"]));
        let mut answer = ann.complete(streamed(&Value::Null)).await;
        let id = session(&answer);
        let begun = answer.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&begun).contains("to the "));
        drop(answer);
        on.fake.release();
        let reply = ann.canonical(&format!("/api/v1/sessions/{id}/messages")).await[0]["message_id"].clone();
        let rest = ann.service.request(Method::GET, &format!("/api/v1/messages/{}/stream", text(&reply)));
        let rest = rest.header("x-api-key", &ann.bearer).send().await.unwrap();
        assert!(rest.text().await.unwrap().contains("event: message.completed"));
        assert_eq!(ann.said(&id).await.pop(), Some(("bot".to_owned(), "to the end".to_owned())));
    }

    async fn a_key_that_is_taken_back_ends_it(on: Site) {
        let token = on.token("ann").await;
        let keys = |method: Method, path: String| on.service.request(method, &format!("/api/v1/keys{path}")).bearer_auth(&token);
        let key = json_of(keys(Method::POST, String::new()).json(&json!({"name": "one"})).send().await.unwrap(), 201).await;
        let ann = super::Program { service: &on.service, bearer: text(&key["key"]) };
        on.fake.then(Script::stalls_after(&["begun"]));
        let answer = ann.complete(streamed(&Value::Null)).await;
        let taken = keys(Method::DELETE, format!("/{}", text(&key["id"]))).send().await.unwrap();
        assert!(taken.status().is_success());
        let all = chunks(&data(answer).await);
        assert_eq!(all.last().unwrap()["error"]["code"], "invalid_api_key");
        on.fake.release();
        assert_eq!(refused(ann.complete(streamed(&Value::Null)).await, 401).await, of_request(None, "invalid_api_key"));
    }
}
