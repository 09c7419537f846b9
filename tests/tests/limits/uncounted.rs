//! What counts: what asks for a reply, and comes into the log.

use reqwest::Method;
use serde_json::{Value, json};
use store::Db;
use tests::{Stage, on_both_engines};
use uuid::Uuid;

use crate::cast::{header, limited, message, say, used};

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
        let nowhere = json!({"message": "hello", "session_id": Uuid::nil()});
        let answer = ann.request(Method::POST, "/api/v1/chat").json(&nowhere).send().await.unwrap();
        assert_eq!(header(&answer, "ratelimit"), r#""user";r=1;t=60"#, "the one place that is taken");
        assert_eq!((say(&ann, 2).await, used(&ann).await.1), (vec![200, 429], 2));
    }

    async fn what_came_before_is_answered_though_nobody_else_would_be(stage: Stage) {
        let app = limited(stage, ["3/minute", "2/minute", "off"]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let send = async |path: &str, text: &str| {
            let request = ann.request(Method::POST, path).header("idempotency-key", "mine");
            let answer = request.json(&message(text)).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let (status, first) = send("/api/v1/chat", "hello").await;
        assert_eq!((status, say(&ann, 2).await), (200, vec![200, 429]));
        assert_eq!(send("/api/v1/chat", "hello").await, (200, first.clone()), "by its user's window");
        assert_eq!(send("/api/v1/chat", "another").await.0, 422);
        let again = format!("/api/v1/messages/{}/regenerate", first["message_id"].as_str().unwrap());
        assert_eq!(send(&again, "").await.0, 429, "that never came before");
        assert_eq!(say(&bob, 2).await, [200, 429]);
        assert_eq!(send("/api/v1/chat", "hello").await, (200, first), "by the service's");
        assert_eq!(used(&ann).await, (3, 2));
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

/// What counts comes into the log, and the other way round, whenever its client goes.
#[tokio::test]
async fn who_goes_before_the_answer_has_asked_all_the_same() {
    let app = limited(Stage::postgres_nats().await, ["off", "3/minute", "off"]).await;
    let ann = app.user("ann").await;
    let session = ann.say("hello", None).await["session_id"].clone();
    let Db::Postgres(postgres) = app.stage.log.db() else { unreachable!("the stage is on Postgres") };
    let mut tx = postgres.pool.begin().await.unwrap();
    // Nobody reads the log, nor writes it.
    sqlx::query("lock table events in access exclusive mode").execute(&mut *tx).await.unwrap();
    let body = json!({"message": "are you there?", "session_id": session});
    let asking = tokio::spawn(ann.request(Method::POST, "/api/v1/chat").json(&body).send());
    app.until(async || used(&ann).await.1 == 2).await;
    asking.abort();
    let page = async || app.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    app.until(async || page().await.contains(r#"route="/api/v1/chat",status="499"} 1"#)).await;
    tx.rollback().await.unwrap();
    let history = async || {
        let answer = ann.request(Method::GET, "/api/v1/chat/history").send().await.unwrap();
        answer.json::<Value>().await.unwrap()["total"].clone()
    };
    app.until(async || history().await == 4).await;
    assert_eq!(used(&ann).await.1, 2);
}
