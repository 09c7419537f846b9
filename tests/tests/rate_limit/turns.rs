//! What counts as asked for, of all that a client can do in a conversation.

use domain::ids::UserId;
use projections::rate_limit::{Subject, minutes};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::app::Options;
use tests::fake_provider::Script;
use tests::sse::Events;
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Persona, TestApp, on_both_engines};

/// A service that asks a provider.
struct Asking {
    app: TestApp,
    fake: FakeProvider,
}

impl Play for Asking {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        Self { app, fake }
    }
}

async fn ask(who: &Persona<'_>, path: &str, body: Value) -> Value {
    let answer: Response = who.request(Method::POST, path).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

/// Waits until a reply has ended, and the history knows.
async fn end(app: &TestApp, who: &Persona<'_>, reply: &Value) {
    let path = format!("/api/v1/messages/{}/stream", reply.as_str().unwrap());
    Events::of(who.request(Method::GET, &path).send().await.unwrap()).rest().await;
    app.settle().await;
}

/// How many answers this user, and all together, have been found to ask for.
async fn admitted(app: &TestApp, who: &Persona<'_>) -> (i64, i64) {
    app.settle().await;
    let me: Value = who.request(Method::GET, "/api/v1/users/me").send().await.unwrap().json().await.unwrap();
    let user: UserId = me["id"].as_str().unwrap().parse().unwrap();
    let count = async |subject| {
        let rows = minutes(app.read_models.rate_limit.db(), subject, i64::MIN, i64::MAX, 1_000).await.unwrap();
        assert!(rows.iter().all(|row| row.refused == 0));
        rows.iter().map(|row| row.admitted).sum()
    };
    (count(Subject::User(user)).await, count(Subject::Service).await)
}

on_both_engines! {
    async fn the_rule_bot_is_asked_as_well(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let said = ann.say("hello", None).await;
        assert_eq!(admitted(&app, &ann).await, (1, 1));
        bob.say("hi", None).await;
        assert_eq!((admitted(&app, &ann).await, admitted(&app, &bob).await), ((1, 2), (1, 2)));
        let again = format!("/api/v1/messages/{}/regenerate", said["message_id"].as_str().unwrap());
        ask(&ann, &again, json!({})).await;
        assert_eq!(admitted(&app, &ann).await, (2, 3));
        let edit = format!("/api/v1/messages/{}/edit", said["user_message_id"].as_str().unwrap());
        ask(&ann, &edit, json!({"message": "bye"})).await;
        assert_eq!(admitted(&app, &ann).await, (3, 4));
    }

    async fn a_message_that_nobody_answers_does_not_count(app: TestApp) {
        let ann = app.user("ann").await;
        let session = ask(&ann, "/api/v1/sessions", json!({"session_name": "notes"})).await;
        let path = format!("/api/v1/sessions/{}/messages", session["session_id"].as_str().unwrap());
        for role in ["user", "assistant", "system"] {
            ask(&ann, &path, json!({"content": "a note", "role": role})).await;
        }
        assert_eq!(ann.history("").await["total"], 3);
        assert_eq!(admitted(&app, &ann).await, (0, 0));
    }

    async fn a_post_that_is_sent_again_counts_once(app: TestApp) {
        let ann = app.user("ann").await;
        for _ in 0..3 {
            let request = ann.request(Method::POST, "/api/v1/chat").header("idempotency-key", "one");
            assert_eq!(request.json(&json!({"message": "hello"})).send().await.unwrap().status(), 200);
        }
        assert_eq!(admitted(&app, &ann).await, (1, 1));
    }

    async fn a_model_is_asked_once_for_each_answer_however_it_ends(on: Asking) {
        let ann = on.app.user("ann").await;
        let said = ann.say("hello", None).await;
        assert_eq!(admitted(&on.app, &ann).await, (1, 1));
        let again = format!("/api/v1/messages/{}/regenerate", said["message_id"].as_str().unwrap());
        let regenerated = ask(&ann, &again, json!({})).await;
        end(&on.app, &ann, &regenerated["task_id"]).await;
        assert_eq!(admitted(&on.app, &ann).await, (2, 2));
        on.fake.then(Script::truncated_after(&["half a "]));
        let begun = ask(&ann, "/api/v1/chat/background", json!({"message": "work"})).await;
        end(&on.app, &ann, &begun["task_id"]).await;
        assert_eq!(admitted(&on.app, &ann).await, (3, 3), "what breaks off was asked for");
        let retry = format!("/api/v1/chat/tasks/{}/retry", begun["task_id"].as_str().unwrap());
        for times in ["once", "again"] {
            let retried = ask(&ann, &retry, json!({})).await;
            end(&on.app, &ann, &retried["task_id"]).await;
            assert_eq!(admitted(&on.app, &ann).await, (4, 4), "{times}: it is one answer");
        }
    }
}
