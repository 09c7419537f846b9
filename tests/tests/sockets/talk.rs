//! Messages in, replies out: several at once, resumed, stopped.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::on_both_engines;
use tests::socket::text_of;
use tests::sse::Events;
use tests::{Persona, Socket, Stage, TestApp};

use crate::{Asking, gated, names, open};

/// Of a dozen such replies, some find no room between two ends of a socket.
const LONG: usize = 1_000_000;

/// What a stream of the same reply brings.
async fn stream(who: &Persona<'_>, id: &Value) -> Vec<Value> {
    let path = format!("/api/v1/messages/{}/stream", id.as_str().unwrap());
    let events = Events::of(who.request(Method::GET, &path).send().await.unwrap()).rest().await;
    let frame = |name: String, seq: usize, mut data: Value| {
        (data["type"], data["seq"], data["id"]) = (json!(name), json!(seq), id.clone());
        data
    };
    events.into_iter().map(|event| frame(event.name, event.id, event.data)).collect()
}

/// An end without its place in the log, which only those are told who were there.
fn end_of(frames: &[Value]) -> Value {
    let mut end = frames.last().unwrap().clone();
    end.as_object_mut().unwrap().remove("position");
    end
}

/// The frames of a socket up to a text of one reply.
async fn until_text(socket: &mut Socket, id: &Value, text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    while text_of(&all, id) != text {
        all.push(socket.heard().await);
    }
    all
}

on_both_engines! {
    async fn a_message_brings_the_frames_of_its_reply(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        on.fake.then(gated(&["안녕, ", "Ann"], &[" 👋"]));
        socket.say(json!({"message": "hi", "model": "fake/one", "max_tokens": 50, "temperature": 0.5})).await;
        let started = socket.heard().await;
        assert_eq!((&started["type"], &started["seq"]), (&json!("message.started"), &json!(1)));
        let id = &started["id"];
        let before = until_text(&mut socket, id, "안녕, Ann").await;
        on.fake.release();
        let rest = socket.until_end_of(id).await;
        assert_eq!(text_of(&rest, id), " 👋");
        let last = rest.last().unwrap();
        assert_eq!((&last["type"], &last["usage"]["total_tokens"]), (&json!("message.completed"), &json!(18)));
        let all = [vec![started.clone()], before, rest].concat();
        assert!(all.iter().all(|frame| frame["id"] == *id), "{all:?}");
        assert!(all.is_sorted_by_key(|frame| frame["seq"].as_u64()), "{all:?}");
        let asked = on.fake.asked();
        assert_eq!((asked[0].max_tokens, asked[0].temperature, asked[0].model.as_str()), (Some(50), Some(0.5), "one"));
        // A stream says the same, and so does the same socket when it is asked again.
        let streamed = stream(&ann, id).await;
        assert_eq!(end_of(&streamed), end_of(&all));
        socket.say(json!({"type": "resume", "id": id})).await;
        assert_eq!(socket.reply().await, streamed);
        // And the conversation goes on.
        socket.say(json!({"type": "message", "message": "and?", "session_id": started["session_id"]})).await;
        let next = socket.reply().await;
        assert_eq!(text_of(&next, &next[0]["id"]), "You said: and?");
        assert_eq!(on.fake.asked()[1].messages.as_array().unwrap().len(), 3);
    }

    async fn the_rule_bot_answers_as_well(app: TestApp) {
        let ann = app.user("ann").await;
        let mut socket = open(&app, &ann).await;
        socket.say(json!({"message": "hello"})).await;
        let frames = socket.reply().await;
        assert_eq!(names(&frames), ["message.started", "delta", "message.completed"]);
        assert_eq!(text_of(&frames, &frames[0]["id"]), "Hello! How can I help you today?");
        app.settle().await;
        assert_eq!(ann.history("").await["total"], 2);
    }

    async fn several_replies_run_at_once(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            on.fake.then(gated(&[name], &[" is done"]));
            socket.say(json!({"message": name})).await;
            let before = socket.heard().await;
            assert_eq!(before["type"], "message.started");
            ids.push(before["id"].clone());
            until_text(&mut socket, &ids[ids.len() - 1], name).await;
        }
        on.fake.release();
        let mut all = Vec::new();
        while names(&all).iter().filter(|name| **name == "message.completed").count() < 3 {
            all.push(socket.heard().await);
        }
        for id in &ids {
            assert_eq!(text_of(&all, id), " is done");
        }
        // What is asked for again while it runs runs once.
        on.fake.then(gated(&["four"], &["!"]));
        socket.say(json!({"message": "four"})).await;
        let started = socket.heard().await;
        until_text(&mut socket, &started["id"], "four").await;
        socket.say(json!({"type": "resume", "id": started["id"], "after": 3})).await;
        assert_eq!(text_of(&[socket.heard().await], &started["id"]), "ur");
        on.fake.release();
        assert_eq!(text_of(&socket.until_end_of(&started["id"]).await, &started["id"]), "!");
    }

    async fn who_leaves_and_comes_back_gets_exactly_the_rest(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        on.fake.then(gated(&["one ", "two ", "thr"], &["ee ", "four"]));
        socket.say(json!({"message": "count"})).await;
        let id = socket.heard().await["id"].clone();
        let seen = until_text(&mut socket, &id, "one two thr").await;
        drop(socket);
        let mut socket = open(&on.app, &ann).await;
        socket.say(json!({"type": "resume", "id": id, "after": seen.last().unwrap()["seq"]})).await;
        on.fake.release();
        let rest = socket.reply().await;
        assert_eq!((text_of(&rest, &id).as_str(), names(&rest).last()), ("ee four", Some(&"message.completed")));
        for after in [0, 1, 2, 5, 17, 18, 19, 20, 1_000, usize::MAX] {
            socket.say(json!({"type": "resume", "id": id, "after": after})).await;
            let again = socket.reply().await;
            let rest = "one two three four".get(after.saturating_sub(1)..).unwrap_or_default();
            assert_eq!(text_of(&again, &id), rest, "after {after}");
            assert_eq!(again.last(), rest_end(&again), "after {after}");
        }
    }

    async fn a_stopped_reply_keeps_what_was_said(on: Asking) {
        let (ann, bob) = (on.app.user("ann").await, on.app.user("bob").await);
        let (mut socket, mut other) = (open(&on.app, &ann).await, open(&on.app, &bob).await);
        on.fake.then(Script::stalls_after(&["So far ", "so good"]));
        socket.say(json!({"message": "talk"})).await;
        let id = socket.heard().await["id"].clone();
        until_text(&mut socket, &id, "So far so good").await;
        other.say(json!({"type": "stop", "id": id})).await;
        let refused = other.heard().await;
        assert_eq!((&refused["id"], &refused["problem"]["code"]), (&id, &json!("message_not_found")));
        socket.say(json!({"type": "stop", "id": id})).await;
        let stopped = socket.until_end_of(&id).await;
        on.fake.closed_by_client().await;
        assert_eq!(names(&stopped), ["message.stopped"]);
        socket.say(json!({"message": "hello"})).await;
        assert_eq!(names(&socket.reply().await)[0], "message.started", "it is said once");
        // Again, and from elsewhere: how it ended, and that alone.
        for socket in [&mut socket, &mut open(&on.app, &ann).await] {
            socket.say(json!({"type": "stop", "id": id})).await;
            let again = socket.reply().await;
            assert_eq!((again.len(), end_of(&again)), (1, end_of(&stopped)));
        }
        assert_eq!(text_of(&stream(&ann, &id).await, &id), "So far so good");
    }

    async fn a_message_that_is_sent_again_is_posted_once(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        let mut frames = Vec::new();
        for _ in 0..3 {
            socket.say(json!({"message": "once", "idempotency_key": "one and only"})).await;
            frames.push(socket.reply().await);
        }
        assert!(frames.iter().all(|it| it[0] == frames[0][0] && end_of(it) == end_of(&frames[0])), "{frames:?}");
        let http = ann.request(Method::POST, "/api/v1/chat").header("Idempotency-Key", "one and only");
        let answer: Value = http.json(&json!({"message": "once"})).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["message_id"], frames[0][0]["id"], "the same name over HTTP");
        assert_eq!(on.fake.asked().len(), 1);
        socket.say(json!({"message": "another", "idempotency_key": "one and only"})).await;
        assert_eq!(socket.heard().await["problem"]["code"], "idempotency_key_reused");
    }

    async fn one_that_does_not_read_holds_up_only_itself(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.always("one", Script::huge(LONG));
        let mut ids = Vec::new();
        for _ in 0..12 {
            let task = ann.request(Method::POST, "/api/v1/chat/background");
            let task = task.json(&json!({"message": "tell", "model": "fake/one"})).send().await.unwrap();
            ids.push(task.json::<Value>().await.unwrap()["task_id"].clone());
        }
        let (mut slow, mut quick) = (open(&on.app, &ann).await, open(&on.app, &ann).await);
        for id in &ids {
            slow.say(json!({"type": "resume", "id": id})).await;
        }
        for id in &ids {
            quick.say(json!({"type": "resume", "id": id})).await;
            assert_eq!(text_of(&quick.reply().await, id).len(), LONG);
        }
        let mut all = Vec::new();
        while names(&all).iter().filter(|name| **name == "message.completed").count() < ids.len() {
            all.push(slow.heard().await);
        }
        assert!(ids.iter().all(|id| text_of(&all, id).len() == LONG), "nothing is lost on it");
    }
}

fn rest_end(frames: &[Value]) -> Option<&Value> {
    frames.iter().find(|frame| frame["type"] == "message.completed")
}

#[tokio::test]
async fn a_silent_socket_is_heard_of_all_the_same() {
    let app = <TestApp as tests::stage::Play>::on(Stage::sqlite().await).await;
    let ann = app.user("ann").await;
    let mut socket = open(&app, &ann).await;
    let begun = Instant::now();
    assert_eq!(socket.next().await, Ok(json!({"type": "heartbeat"})));
    assert!((14..=20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
