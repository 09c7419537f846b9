//! Replies over HTTP, on both engines: waited for, streamed, in the background; resumed, stopped, asked for again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod asking;
mod refusals;
mod titles;

use asking::{Asking, gated, get, json_of, names, post, resume, stream};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::sse::text;
use tests::stage::{PATIENCE, Play, Stage};
use tests::{TestApp, on_both_engines};
use tokio::time::timeout;

on_both_engines! {
    async fn who_waits_gets_the_whole_reply(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["Hello, ", "Ann"], &["!"]));
        on.fake.release();
        let (answer, ()) = tokio::join!(
            post(&ann, "/api/v1/chat", json!({"message": "hi", "model": "fake/one", "max_tokens": 50, "temperature": 0.5})),
            async { on.fake.until_asked(1).await; on.fake.release() },
        );
        let answer = json_of(answer, 200).await;
        assert_eq!(answer["response"], "Hello, Ann!");
        assert_eq!((&answer["model"], &answer["finish_reason"]), (&json!("fake/one"), &json!("stop")));
        assert_eq!(answer["usage"], json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}));
        let asked = on.fake.asked();
        assert_eq!(asked[0].messages, json!([{"role": "user", "content": "hi"}]));
        assert_eq!((asked[0].max_tokens, asked[0].temperature, asked[0].model.as_str()), (Some(50), Some(0.5), "one"));
        // And it is told of what was said when something else is said.
        let next = post(&ann, "/api/v1/chat", json!({"message": "and?", "session_id": answer["session_id"]})).await;
        assert_eq!(json_of(next, 200).await["response"], "You said: and?");
        let told = &on.fake.asked()[1].messages;
        let contents: Vec<_> = told.as_array().unwrap().iter().map(|turn| turn["content"].as_str().unwrap()).collect();
        assert_eq!(contents, ["hi", "Hello, Ann!", "and?"]);
    }

    async fn a_stream_brings_each_piece_and_an_end(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["안녕, ", "Ann"], &[" 👋", "!"]));
        let mut events = stream(&ann, json!({"message": "hi"})).await;
        let started = events.said().await.unwrap();
        assert_eq!((started.name.as_str(), started.id), ("message.started", 1));
        let mut before = vec![];
        while text(&before) != "안녕, Ann" {
            before.push(events.said().await.unwrap());
        }
        on.fake.release();
        let rest = events.rest().await;
        assert_eq!(text(&rest), " 👋!");
        let last = rest.last().unwrap();
        assert_eq!(last.name, "message.completed");
        assert_eq!((&last.data["finish_reason"], &last.data["usage"]["total_tokens"]), (&json!("stop"), &json!(18)));
        let all = [vec![started], before, rest].concat();
        assert!(all.is_sorted_by(|one, next| one.id < next.id), "{all:?}");
        // Asked for after its end: the text as one piece.
        let id = all[0].data["id"].as_str().unwrap();
        let again = resume(&ann, id, 0).await;
        assert_eq!(names(&again), ["message.started", "delta", "message.completed"]);
        assert_eq!(text(&again), "안녕, Ann 👋!");
        let mut end = all.last().unwrap().clone();
        let position = end.data.as_object_mut().unwrap().remove("position").unwrap();
        assert_eq!(again.last(), Some(&end), "the same end");
        let history = ann.request(Method::GET, "/api/v1/chat/history").header("x-min-position", position.to_string());
        let history: Value = history.send().await.unwrap().json().await.unwrap();
        assert_eq!((&history["messages"][1]["content"], &history["total"]), (&json!("안녕, Ann 👋!"), &json!(2)));
    }

    async fn what_nobody_can_read_any_more_is_not_made(on: Asking) {
        let ann = on.app.user("ann").await;
        for by_session in [false, true] {
            on.fake.then(gated(&["some ", "of it"], &[" and more"]));
            let mut events = stream(&ann, json!({"message": "go on"})).await;
            let started = events.said().await.unwrap();
            let mut seen = vec![];
            while text(&seen) != "some of it" {
                seen.push(events.said().await.unwrap());
            }
            let of = |field: &str| started.data[field].as_str().unwrap().to_owned();
            let path = if by_session { format!("/api/v1/sessions/{}", of("session_id")) } else { format!("/api/v1/messages/{}", of("id")) };
            let deleted = json_of(ann.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
            on.fake.closed_by_client().await;
            if !by_session {
                assert_eq!((&deleted["status"], &deleted["content"]), (&json!("stopped"), &json!("some of it")));
            }
            let message = format!("/api/v1/messages/{}", of("id"));
            assert_eq!(ann.request(Method::GET, &message).send().await.unwrap().status(), 404);
            assert_eq!(events.rest().await.last().unwrap().name, "message.stopped");
        }
    }

    async fn the_rule_bot_streams_as_well(app: TestApp) {
        let ann = app.user("ann").await;
        let events = stream(&ann, json!({"message": "hello", "model": "whatever"})).await.rest().await;
        assert_eq!(names(&events), ["message.started", "delta", "message.completed"]);
        assert_eq!(text(&events), "Hello! How can I help you today?");
        assert_eq!(events[2].data["model"], "rules");
        let id = events[0].data["id"].as_str().unwrap();
        assert_eq!(resume(&ann, id, 0).await, events);
    }

    async fn who_leaves_and_comes_back_gets_exactly_the_rest(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["one ", "two ", "thr"], &["ee ", "four"]));
        let mut events = stream(&ann, json!({"message": "count"})).await;
        let started = events.said().await.unwrap();
        let mut seen = vec![];
        while !text(&seen).ends_with("two ") && text(&seen).len() < 8 {
            seen.push(events.said().await.unwrap());
        }
        drop(events);
        let (id, last) = (started.data["id"].as_str().unwrap(), seen.last().unwrap().id);
        on.fake.release();
        let rest = resume(&ann, id, last).await;
        assert_eq!(text(&seen) + &text(&rest), "one two three four");
        assert_eq!(rest.last().unwrap().name, "message.completed");
        for after in 0..25 {
            let again = resume(&ann, id, after).await;
            assert_eq!(text(&again), "one two three four".get(after.saturating_sub(1)..).unwrap_or_default());
        }
    }

    async fn a_stopped_reply_keeps_what_was_said(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(Script::stalls_after(&["So far ", "so good"]));
        let mut events = stream(&ann, json!({"message": "talk"})).await;
        let id = events.said().await.unwrap().data["id"].as_str().unwrap().to_owned();
        let mut seen = vec![];
        while text(&seen) != "So far so good" {
            seen.push(events.said().await.unwrap());
        }
        let stopped = json_of(post(&ann, &format!("/api/v1/messages/{id}/stop"), json!({})).await, 200).await;
        on.fake.closed_by_client().await;
        assert_eq!((&stopped["status"], &stopped["content"]), (&json!("stopped"), &json!("So far so good")));
        let rest = events.rest().await;
        assert_eq!(names(&rest), ["message.stopped"]);
        let again = json_of(post(&ann, &format!("/api/v1/messages/{id}/stop"), json!({})).await, 200).await;
        assert_eq!(again, stopped, "again and again");
        let bob = on.app.user("bob").await;
        assert_eq!(post(&bob, &format!("/api/v1/messages/{id}/stop"), json!({})).await.status(), 404);
    }

    async fn a_second_message_is_answered_after_the_first(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["first"], &[" answer"]));
        let mut first = stream(&ann, json!({"message": "one"})).await;
        let session = first.said().await.unwrap().data["session_id"].clone();
        on.fake.until_asked(1).await;
        let second = stream(&ann, json!({"message": "two", "session_id": session})).await;
        assert_eq!(on.fake.asked().len(), 1, "the second waits");
        on.fake.release();
        let (first, second) = (first.rest().await, second.rest().await);
        assert_eq!((text(&first), text(&second)), ("first answer".to_owned(), "You said: two".to_owned()));
        let told = on.fake.asked()[1].messages.clone();
        assert_eq!(told[1], json!({"role": "assistant", "content": "first answer"}));
    }

    async fn what_was_deleted_before_its_turn_is_asked_of_nobody(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["first"], &[" answer"]));
        let mut first = stream(&ann, json!({"message": "one"})).await;
        let session = first.said().await.unwrap().data["session_id"].clone();
        on.fake.until_asked(1).await;
        let second = stream(&ann, json!({"message": "two", "session_id": session})).await;
        let deleted = ann.request(Method::DELETE, "/api/v1/chat/history").send().await.unwrap();
        assert_eq!(json_of(deleted, 200).await["deleted_messages"], 4);
        on.fake.closed_by_client().await;
        assert_eq!(names(&first.rest().await).last(), Some(&"message.stopped"));
        assert_eq!(names(&second.rest().await), ["message.started", "message.stopped"]);
        on.app.settle().await;
        assert_eq!((on.fake.asked().len(), &ann.history("").await["total"]), (1, &json!(0)));
    }

    async fn a_task_goes_on_by_itself_and_can_be_asked_for_again(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(Script::truncated_after(&["half a "]));
        let begun = json_of(post(&ann, "/api/v1/chat/background", json!({"message": "work"})).await, 200).await;
        assert_eq!((&begun["status"], &begun["result"], &begun["error"]), (&json!("pending"), &json!(null), &json!(null)));
        let path = format!("/api/v1/chat/tasks/{}", begun["task_id"].as_str().unwrap());
        let rest = resume(&ann, begun["task_id"].as_str().unwrap(), 0).await;
        assert_eq!(rest.last().unwrap().data["reason"], "truncated");
        on.app.settle().await;
        let failed = get(&ann, &path).await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["error"], json!({"code": "truncated", "retryable": true, "text": "half a "}));
        let retried = json_of(post(&ann, &format!("{path}/retry"), json!({})).await, 201).await;
        let same = json_of(post(&ann, &format!("{path}/retry"), json!({})).await, 201).await;
        assert_eq!(same["task_id"], retried["task_id"]);
        let done = resume(&ann, retried["task_id"].as_str().unwrap(), 0).await;
        assert_eq!(text(&done), "You said: work");
        let told = on.fake.asked()[1].messages.clone();
        assert_eq!(told, json!([{"role": "user", "content": "work"}]), "what broke off answers nothing");
        on.app.settle().await;
        let listed = get(&ann, "/api/v1/chat/tasks").await;
        let statuses: Vec<_> = listed["items"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, ["completed", "failed"]);
        let bob = on.app.user("bob").await;
        assert_eq!(bob.request(Method::GET, &path).send().await.unwrap().status(), 404);
    }

    async fn a_failing_provider_is_said_to_whoever_waits(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.always("wrong", Script::fails(400));
        let answer = post(&ann, "/api/v1/chat", json!({"message": "hi", "model": "fake/wrong"})).await;
        assert_eq!(json_of(answer, 502).await["code"], "provider_refused");
        on.fake.always("limited", Script::rate_limited(40));
        let answer = post(&ann, "/api/v1/chat", json!({"message": "hi", "model": "fake/limited"})).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "40"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "provider_rate_limited");
    }

    async fn a_request_that_is_sent_twenty_times_is_fulfilled_once(on: Asking) {
        let ann = on.app.user("ann").await;
        let send = |message: &'static str| {
            let request = ann.request(Method::POST, "/api/v1/chat").header("Idempotency-Key", "one and only");
            async move { request.json(&json!({"message": message})).send().await.unwrap() }
        };
        let mut answers = Vec::new();
        for answer in join_all((0..20).map(|_| send("once"))).await {
            answers.push(json_of(answer, 200).await);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(on.fake.asked().len(), 1);
        on.app.settle().await;
        assert_eq!(ann.history("").await["total"], 2);
        assert_eq!(json_of(send("another").await, 422).await["code"], "idempotency_key_reused");
        let bob = on.app.user("bob").await;
        let theirs = bob.request(Method::POST, "/api/v1/chat").header("Idempotency-Key", "one and only");
        assert_eq!(theirs.json(&json!({"message": "another"})).send().await.unwrap().status(), 200, "keys are one's own");
    }
}

/// A process alone keeps what is said of a reply for as long as the log has no end of it.
#[tokio::test]
async fn of_a_reply_that_has_ended_nothing_is_kept_in_one_process() {
    let on = Asking::on(Stage::sqlite().await).await;
    let (ann, bus) = (on.app.user("ann").await, on.app.stage.bus.clone());
    for (script, end) in [
        (gated(&["so far ", "so good"], &["!"]), "message.completed"),
        (Script::stalls_after(&["so far ", "so good"]), "message.stopped"),
        (Script::truncated_after(&["so far ", "so good"]), "message.interrupted"),
    ] {
        on.fake.then(script);
        let mut events = stream(&ann, json!({"message": "talk"})).await;
        let mut seen = vec![events.said().await.unwrap()];
        let id = seen[0].data["id"].as_str().unwrap().to_owned();
        let reply = id.parse().unwrap();
        while end != "message.interrupted" && text(&seen) != "so far so good" {
            seen.push(events.said().await.unwrap());
            assert!(bus.left_of(reply).starts_with(&text(&seen)), "it was seen before it was kept");
        }
        if end == "message.stopped" {
            post(&ann, &format!("/api/v1/messages/{id}/stop"), json!({})).await;
        }
        on.fake.release();
        assert_eq!(names(&events.rest().await).last(), Some(&end));
        let gone = async {
            while !bus.left().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, gone).await.expect("nothing is kept");
    }
}
