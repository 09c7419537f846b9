//! What is refused, and who may watch no longer.

use domain::chat::reply::Interruption;
use reqwest::Method;
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::sse::text;
use tests::{TestApp, on_both_engines};

use crate::asking::{Asking, gated, json_of, names, post, stream};

const WAYS: [&str; 3] = ["/api/v1/chat", "/api/v1/chat/stream", "/api/v1/chat/background"];

on_both_engines! {
    async fn every_way_refuses_the_same(on: Asking) {
        let (ann, bob) = (on.app.user("ann").await, on.app.user("bob").await);
        let theirs = bob.say("mine", None).await["session_id"].clone();
        let refused = [
            (json!({"message": " "}), 422, "invalid"),
            (json!({"message": "x".repeat(4_097)}), 422, "invalid"),
            (json!({"message": "hi", "max_tokens": 0}), 422, "invalid"),
            (json!({"message": "hi", "max_tokens": -1}), 422, "invalid"),
            (json!({"message": "hi", "max_tokens": 9_000_000}), 422, "invalid"),
            (json!({"message": "hi", "temperature": -0.1}), 422, "invalid"),
            (json!({"message": "hi", "temperature": 2.1}), 422, "invalid"),
            (json!({"message": "hi", "temperature": "hot"}), 422, "invalid"),
            (json!({"message": "hi", "model": "nobody/knows"}), 422, "unknown_model"),
            (json!({"message": "hi", "provider": "nobody"}), 422, "unknown_model"),
            (json!({"message": "hi", "session_id": theirs}), 404, "session_not_found"),
            (json!({"message": "hi", "session_id": "018bcfe5-6800-7000-8000-000000000001"}), 404, "session_not_found"),
            (json!({"message": "hi", "session_id": "no id"}), 404, "session_not_found"),
        ];
        let asked = on.fake.asked().len();
        for (body, status, code) in refused {
            for way in WAYS {
                let answer = post(&ann, way, body.clone()).await;
                assert_eq!(answer.status(), status, "{way} {body}");
                let problem = json_of(answer, status).await;
                assert_eq!(problem["code"], code, "{way} {body}");
            }
        }
        on.app.settle().await;
        assert_eq!((on.fake.asked().len(), &ann.history("").await["total"]), (asked, &json!(0)), "nothing was kept");
        let unknown = json_of(post(&ann, WAYS[0], json!({"message": "hi", "model": "x/y"})).await, 422).await;
        assert!(unknown["errors"][0]["message"].as_str().unwrap().contains("rules"), "{unknown}");
    }

    async fn replies_of_others_are_nobodys(on: Asking) {
        let (ann, bob) = (on.app.user("ann").await, on.app.user("bob").await);
        let theirs = post(&bob, WAYS[0], json!({"message": "mine"})).await.json::<Value>().await.unwrap();
        let (reply, message) = (theirs["message_id"].as_str().unwrap(), theirs["user_message_id"].as_str().unwrap());
        for id in [reply, message, "018bcfe5-6800-7000-8000-000000000001", "no id"] {
            for (method, path) in [
                (Method::GET, format!("/api/v1/messages/{id}")),
                (Method::GET, format!("/api/v1/messages/{id}/stream")),
                (Method::POST, format!("/api/v1/messages/{id}/stop")),
                (Method::GET, format!("/api/v1/chat/tasks/{id}")),
                (Method::POST, format!("/api/v1/chat/tasks/{id}/cancel")),
                (Method::POST, format!("/api/v1/chat/tasks/{id}/retry")),
            ] {
                let answer = ann.request(method.clone(), &path).send().await.unwrap();
                assert_eq!(answer.status(), 404, "{method} {path}");
            }
        }
        let complete = post(&bob, &format!("/api/v1/chat/tasks/{reply}/retry"), json!({})).await;
        assert_eq!(json_of(complete, 409).await["code"], "reply_complete");
    }

    async fn a_stream_ends_with_the_sign_in_and_the_reply_goes_on(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["before"], &[" and after"]));
        let mut events = stream(&ann, json!({"message": "talk"})).await;
        let id = events.said().await.unwrap().data["id"].as_str().unwrap().to_owned();
        while events.said().await.unwrap().name != "delta" {}
        assert_eq!(post(&ann, "/api/v1/users/logout-all", json!({})).await.status(), 204);
        let rest = events.rest().await;
        assert_eq!((names(&rest).last(), &rest.last().unwrap().data["problem"]["code"]), (Some(&"error"), &json!("auth_revoked")));
        on.fake.release();
        let again = on.app.sign_in("ann@example.com").await;
        assert_eq!(text(&crate::asking::resume(&again, &id, 0).await), "before and after");
    }

    async fn a_token_that_expires_meanwhile_cuts_no_stream(on: Asking) {
        let ann = on.app.user("ann").await;
        on.fake.then(gated(&["before"], &[" and after"]));
        let mut events = stream(&ann, json!({"message": "talk"})).await;
        let mut seen = vec![events.said().await.unwrap()];
        while seen.last().unwrap().name != "delta" {
            seen.push(events.said().await.unwrap());
        }
        on.app.clock.advance(3_600);
        assert!(!ann.is_in().await);
        on.fake.release();
        seen.extend(events.rest().await);
        assert_eq!((text(&seen).as_str(), seen.last().unwrap().name.as_str()), ("before and after", "message.completed"));
    }

    async fn each_way_to_fail_has_its_word(on: Asking) {
        let ann = on.app.user("ann").await;
        for (script, reason, said) in [
            (Script::truncated_after(&["half"]), Interruption::Truncated, "half"),
            (Script::cut_after(&["half"]), Interruption::Truncated, "half"),
            (Script::fails(400), Interruption::ProviderRefused, ""),
        ] {
            on.fake.then(script);
            let events = stream(&ann, json!({"message": "talk"})).await.rest().await;
            let last = events.last().unwrap();
            assert_eq!((last.name.as_str(), &last.data["reason"]), ("message.interrupted", &json!(reason)), "{reason}");
            assert_eq!((text(&events).as_str(), &last.data["retryable"]), (said, &json!(reason.is_retryable())));
        }
    }

    async fn the_models_are_listed(app: TestApp) {
        let ann = app.user("ann").await;
        let models = ann.request(Method::GET, "/api/v1/models").send().await.unwrap().json::<Value>().await.unwrap();
        assert_eq!(models, json!({"items": [{"id": "rules", "provider": "rules"}]}));
    }
}
