//! What is wrong with a frame, and what ends a socket.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Socket, TestApp, on_both_engines};
use tokio_tungstenite::tungstenite::Message;

use crate::{Asking, gated, key, open};

/// Longer than any frame may be.
const TOO_LONG: usize = (512 << 10) + 1;

async fn problem(socket: &mut Socket, message: Message) -> Value {
    socket.send(message).await;
    let frame = socket.heard().await;
    assert_eq!(frame["type"], "error", "{frame}");
    frame["problem"].clone()
}

/// The next frame that brings no text.
async fn other_than_text(socket: &mut Socket) -> Value {
    loop {
        let frame = socket.heard().await;
        if frame["type"] != "delta" {
            return frame;
        }
    }
}

on_both_engines! {
    async fn garbage_is_told_and_the_socket_stays_open(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        let nobody = "0190f3a1-0000-7000-8000-000000000000";
        // As over HTTP, word for word.
        for body in [
            json!({}),
            json!({"message": 7}),
            json!({"message": " "}),
            json!({"message": "x".repeat(4_097)}),
            json!({"message": "", "max_tokens": 0, "temperature": 3}),
            json!({"message": "hi", "session_id": "nobody's"}),
            json!({"message": "hi", "session_id": nobody}),
            json!({"message": "hi", "model": "nobody/knows"}),
        ] {
            let told = problem(&mut socket, Message::text(body.to_string())).await;
            let answer = ann.request(Method::POST, "/api/v1/chat/stream").json(&body).send().await.unwrap();
            assert_eq!(told["status"], answer.status().as_u16(), "{body}");
            let answer: Value = answer.json().await.unwrap();
            for part in ["code", "detail", "errors"] {
                assert_eq!(told[part], answer[part], "{part} of {body}");
            }
        }
        // What only a socket can be told.
        let said = |value: Value| Message::text(value.to_string());
        for (message, code) in [
            (Message::text("}{"), "bad_json"),
            (Message::text(""), "bad_json"),
            (Message::text("7"), "invalid"),
            (Message::text(format!("{{\"deep\":{}", "[".repeat(100_000))), "bad_json"),
            (Message::binary(vec![7; 7]), "invalid"),
            (said(json!({"type": "shout", "message": "hi"})), "invalid"),
            (said(json!({"type": 7, "message": "hi"})), "invalid"),
            (said(json!({"message": "hi", "idempotency_key": ""})), "invalid"),
            (said(json!({"message": "hi", "idempotency_key": "x".repeat(256)})), "invalid"),
            (said(json!({"type": "stop"})), "invalid"),
            (said(json!({"type": "stop", "id": "none"})), "message_not_found"),
            (said(json!({"type": "stop", "id": nobody})), "message_not_found"),
            (said(json!({"type": "resume", "id": nobody, "after": 1})), "message_not_found"),
            (said(json!({"type": "resume", "id": nobody, "after": -1})), "invalid"),
        ] {
            let told = problem(&mut socket, message.clone()).await;
            assert_eq!(told["code"], code, "{:.80}", message.to_string());
        }
        assert_eq!(on.fake.asked().len(), 0);
        socket.say(json!({"message": "hi"})).await;
        assert_eq!(socket.reply().await.last().unwrap()["type"], "message.completed");
    }

    async fn a_frame_over_the_limit_ends_the_socket(app: TestApp) {
        let ann = app.user("ann").await;
        for size in [TOO_LONG, 8 << 20] {
            for message in [Message::text("x".repeat(size)), Message::binary(vec![7; size])] {
                let mut socket = open(&app, &ann).await;
                socket.try_to_send(message).await;
                assert_eq!(socket.closed().await, 1009, "{size}");
            }
        }
        let mut socket = open(&app, &ann).await;
        let longest = json!({"message": "x".repeat(TOO_LONG - 15)}).to_string();
        assert_eq!(longest.len(), TOO_LONG - 1);
        assert_eq!(problem(&mut socket, Message::text(longest)).await["code"], "invalid", "it is read, at least");
    }

    async fn so_many_replies_and_no_more_run_at_once(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        on.fake.always("one", gated(&["so "], &["long"]));
        let mut ids = Vec::new();
        for _ in 0..16 {
            socket.say(json!({"message": "hi", "model": "fake/one"})).await;
            let started = other_than_text(&mut socket).await;
            assert_eq!(started["type"], "message.started", "{started}");
            ids.push(started["id"].clone());
        }
        for more in [json!({"message": "hi", "model": "fake/one"}), json!({"type": "resume", "id": ids[3]})] {
            socket.say(more).await;
            let frame = other_than_text(&mut socket).await;
            assert_eq!(frame["problem"]["code"], "too_many_replies");
            assert_eq!(frame["problem"]["status"], 429);
        }
        socket.say(json!({"type": "stop", "id": ids[7]})).await;
        socket.until_end_of(&ids[7]).await;
        socket.say(json!({"message": "hello", "model": "fake/one"})).await;
        assert_eq!(other_than_text(&mut socket).await["type"], "message.started", "one has ended");
        on.fake.until_asked(16).await;
    }

    async fn what_is_revoked_ends_the_socket_within_a_second(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["never"], &["ending"]));
        let mut busy = open(&on.app, &ann).await;
        busy.say(json!({"message": "talk"})).await;
        busy.heard().await;
        let mut idle = open(&on.app, &ann).await;
        let created = key(&ann, &["chat:write"]).await;
        let shown = [("x-api-key", created["key"].as_str().unwrap())];
        let mut by_key = Socket::open(on.app.address(), "", &shown).await.unwrap();
        let path = format!("/api/v1/keys/{}", created["id"].as_str().unwrap());
        assert_eq!(ann.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        let begun = Instant::now();
        assert_eq!(by_key.closed().await, 4401);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        let out = on.app.request(Method::POST, "/api/v1/users/logout").header("x-refresh-token", &ann.refresh_token);
        assert_eq!(out.send().await.unwrap().status(), 204);
        let begun = Instant::now();
        let codes = join_all([&mut busy, &mut idle].map(Socket::closed)).await;
        assert_eq!(codes, [4401, 4401]);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    async fn what_expires_lets_replies_end_and_takes_no_message(on: Asking) {
        let ann = on.app.user("ann").await;
        let mut socket = open(&on.app, &ann).await;
        on.fake.then(gated(&["to be "], &["continued"]));
        socket.say(json!({"message": "talk"})).await;
        let id = socket.heard().await["id"].clone();
        on.fake.until_asked(1).await;
        on.app.clock.advance(911);
        assert!(!ann.is_in().await);
        on.fake.release();
        assert_eq!(socket.until_end_of(&id).await.last().unwrap()["type"], "message.completed");
        socket.say(json!({"message": "more"})).await;
        let told = socket.heard().await;
        assert_eq!((&told["type"], &told["problem"]["code"]), (&json!("error"), &json!("token_expired")));
        assert_eq!(socket.closed().await, 4401);
        assert_eq!(on.fake.asked().len(), 1);
    }

    async fn a_stopping_server_says_so(app: TestApp) {
        let address = app.address();
        let token = app.user("ann").await.token.clone();
        let mut socket = Socket::open(address, &format!("?token={token}"), &[]).await.unwrap();
        socket.say(json!({"message": "hello"})).await;
        socket.reply().await;
        drop(app);
        assert_eq!(socket.closed().await, 1012);
    }
}
