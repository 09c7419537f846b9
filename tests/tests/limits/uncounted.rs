//! What counts: what asks for a reply, and comes into the log.

use reqwest::Method;
use serde_json::json;
use tests::{Stage, on_both_engines};
use uuid::Uuid;

use crate::cast::{limited, message, say, used};

on_both_engines! {
    async fn what_is_not_done_is_not_counted(stage: Stage) {
        let app = limited(stage, ["10/minute", "5/minute", "off"]).await;
        let ann = app.user("ann").await;
        let nowhere = json!(Uuid::nil());
        for (body, expected) in [
            (json!({"message": ""}), 422),
            (json!({"message": "hello", "temperature": 9}), 422),
            (json!({"message": "hello", "session_id": "none"}), 404),
            (json!({"message": "hello", "session_id": nowhere}), 404),
            (json!({"message": "hello", "parent_id": nowhere}), 409),
        ] {
            let answer = ann.request(Method::POST, "/api/v1/chat").json(&body).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{body}");
        }
        let stranger = app.request(Method::POST, "/api/v1/chat").json(&message("hello")).send().await.unwrap();
        assert_eq!(stranger.status(), 401);
        assert_eq!(used(&ann).await, (0, 0));
        assert_eq!(say(&ann, 6).await, [200, 200, 200, 200, 200, 429]);
        assert_eq!(used(&ann).await, (5, 5), "nor is who is refused");
    }

    async fn what_came_before_is_not_counted_again(stage: Stage) {
        let app = limited(stage, ["off", "2/minute", "off"]).await;
        let ann = app.user("ann").await;
        let send = async |text: &str| {
            let request = ann.request(Method::POST, "/api/v1/chat").header("idempotency-key", "mine");
            request.json(&message(text)).send().await.unwrap().status().as_u16()
        };
        assert_eq!((send("hello").await, send("hello").await), (200, 200));
        assert_eq!(send("another").await, 422);
        assert_eq!(used(&ann).await.1, 1);
        assert_eq!((say(&ann, 2).await, used(&ann).await.1), (vec![200, 429], 2));
    }

    async fn each_way_to_ask_for_a_reply_counts(stage: Stage) {
        let app = limited(stage, ["off", "4/minute", "off"]).await;
        let ann = app.user("ann").await;
        let post = async |path: &str, body| {
            ann.request(Method::POST, path).json(&body).send().await.unwrap().status().as_u16()
        };
        let said = ann.say("hello", None).await;
        let (reply, session) = (said["message_id"].as_str().unwrap(), said["session_id"].as_str().unwrap());
        assert_eq!(post(&format!("/api/v1/sessions/{session}/messages"), json!({"content": "noted"})).await, 201);
        assert_eq!(used(&ann).await.1, 1, "nobody was asked");
        assert_eq!(post("/api/v1/chat/background", message("hello")).await, 200);
        assert_eq!(post("/api/v1/chat/stream", message("hello")).await, 200);
        assert_eq!(post(&format!("/api/v1/messages/{reply}/regenerate"), json!({})).await, 201);
        assert_eq!(used(&ann).await.1, 4);
        for (path, body) in [
            ("/api/v1/chat".to_owned(), message("hello")),
            ("/api/v1/chat/background".to_owned(), message("hello")),
            ("/api/v1/chat/stream".to_owned(), message("hello")),
            (format!("/api/v1/messages/{reply}/regenerate"), json!({})),
        ] {
            assert_eq!(post(&path, body).await, 429, "{path}");
        }
    }
}
