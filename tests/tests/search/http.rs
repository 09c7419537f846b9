//! `POST /api/v1/search`, as it is asked by whoever looks for something.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::service::Service;
use tests::{Persona, TestApp, on_both_engines};

const SEARCH: &str = "/api/v1/search";

async fn ask(who: &Persona<'_>, body: &Value) -> Response {
    who.request(Method::POST, SEARCH).json(body).send().await.unwrap()
}

async fn search(who: &Persona<'_>, body: Value) -> Value {
    let answer = ask(who, &body).await;
    assert_eq!(answer.status(), 200, "{body}");
    answer.json().await.unwrap()
}

async fn refusal(who: &Persona<'_>, body: Value) -> (u16, Value) {
    let answer = ask(who, &body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

on_both_engines! {
    async fn one_finds_what_one_has_just_said_and_nothing_of_others(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        for times in 1..=3 {
            ann.say(&format!("a needle, number{times} <&>"), None).await;
            let found = search(&ann, json!({"query": format!("number{times} needle"), "role": "user"})).await;
            assert_eq!(found["results"].as_array().unwrap().len(), 1, "{found}");
        }
        let said = ann.say("another pin", None).await;
        let found = search(&ann, json!({"query": "pin", "role": "user"})).await;
        let [hit] = &found["results"].as_array().unwrap()[..] else { panic!("{found}") };
        assert_eq!((&hit["message_id"], &hit["session_id"]), (&said["user_message_id"], &said["session_id"]));
        assert_eq!((&hit["role"], &hit["snippet"]), (&json!("user"), &json!("another <mark>pin</mark>")));
        assert_eq!((&hit["created_at"], &found["next"]), (&json!("2026-01-01T00:00:00Z"), &Value::Null));
        assert!(hit["score"].as_f64().unwrap() > 0.0);
        // The rule bot says it again.
        let found = search(&ann, json!({"query": "\"You said\" pin", "role": "bot"})).await;
        assert_eq!(found["results"][0]["message_id"], said["message_id"]);
        assert_eq!(search(&bob, json!({"query": "pin"})).await, json!({"results": [], "next": null}));
        let session = &said["session_id"];
        assert_eq!(search(&ann, json!({"query": "pin", "session_id": session})).await["results"].as_array().unwrap().len(), 2);
        assert_eq!(search(&ann, json!({"query": "needle", "session_id": session})).await["results"], json!([]));
        for session in [session.clone(), json!("018bcfe5-6800-7000-8000-00000000002a"), json!("none")] {
            let (status, problem) = refusal(&bob, json!({"query": "pin", "session_id": session})).await;
            assert_eq!((status, &problem["code"]), (404, &json!("session_not_found")));
        }
        let head = app.stage.log.head().await.unwrap().get();
        let ahead = ann.request(Method::POST, SEARCH).header("x-min-position", head + 2).json(&json!({"query": "pin"}));
        let ahead = ahead.send().await.unwrap();
        assert_eq!((ahead.status().as_u16(), &ahead.headers()["x-projection-lag"]), (200, &"2".parse().unwrap()));
    }

    async fn pages_follow_one_another_for_the_same_search_alone(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let session = ann.say("word 0", None).await["session_id"].clone();
        for number in 1..7 {
            ann.say(&format!("word {number}"), Some(&session)).await;
        }
        let (mut seen, mut after, mut first) = (Vec::new(), Value::Null, Value::Null);
        loop {
            let page = search(&ann, json!({"query": "word", "role": "user", "limit": 3, "after": after})).await;
            seen.extend(page["results"].as_array().unwrap().iter().map(|hit| hit["message_id"].to_string()));
            after = page["next"].clone();
            if first.is_null() {
                first = after.clone();
            }
            if after.is_null() {
                break;
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((count, seen.len()), (7, 7));
        for (who, body) in [
            (&ann, json!({"query": "words", "role": "user", "after": first})),
            (&ann, json!({"query": "word", "after": first})),
            (&ann, json!({"query": "word", "role": "user", "session_id": session, "after": first})),
            (&bob, json!({"query": "word", "role": "user", "after": first})),
            (&ann, json!({"query": "word", "role": "user", "after": "made up"})),
            (&ann, json!({"query": "word", "role": "user", "after": ""})),
        ] {
            let (status, problem) = refusal(who, body.clone()).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("after")), "{body}");
        }
    }

    async fn bad_fields_are_all_named_and_not_repeated(app: TestApp) {
        let ann = app.user("ann").await;
        for (body, fields) in [
            (json!({"query": ""}), vec!["query"]),
            (json!({"query": "?!"}), vec!["query"]),
            (json!({"query": "-hunter2"}), vec!["query"]),
            (json!({"query": "hunter2\0"}), vec!["query"]),
            (json!({"query": "x".repeat(1_001)}), vec!["query"]),
            (json!({"query": "x ".repeat(65)}), vec!["query"]),
            (json!({"query": "a", "limit": 0}), vec!["limit"]),
            (json!({"query": "a", "limit": 101}), vec!["limit"]),
            (json!({"query": "a", "mode": "hunter2"}), vec!["mode"]),
            (json!({"query": "a", "role": "hunter2"}), vec!["role"]),
            (json!({"query": "a", "since": "2026-01-01"}), vec!["since"]),
            (json!({"query": "a", "until": "hunter2"}), vec!["until"]),
            (json!({"query": "a", "role": "hunter2", "since": "hunter2", "limit": 1_000, "after": "hunter2"}), vec!["role", "since", "limit", "after"]),
            (json!({"query": 5}), vec!["body"]),
            (json!({"query": "a", "limit": -1}), vec!["body"]),
            (json!({"query": "a", "favourite": "hunter2"}), vec!["body"]),
        ] {
            let (status, problem) = refusal(&ann, body.clone()).await;
            let named: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
            assert_eq!((status, named), (422, fields), "{body}");
            assert!(!problem.to_string().contains("hunter2"));
        }
        for body in [json!({"query": "a", "limit": 100}), json!({"query": "a", "since": "2026-01-01T00:00:00+02:00", "favourite": false}), json!({"query": "x".repeat(1_000)})] {
            assert_eq!(search(&ann, body).await["results"], json!([]));
        }
    }

    async fn a_new_message_is_found_within_a_second(service: Service) {
        let ask = async |path: &str, token: &str, body: Value| {
            let answer = service.request(Method::POST, path).bearer_auth(token).json(&body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
        };
        let account = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
        assert_eq!(ask("/api/v1/users/register", "", account.clone()).await.0, 201);
        let token = ask("/api/v1/users/login", "", account).await.1["access_token"].as_str().unwrap().to_owned();
        let mut worst = Duration::ZERO;
        for number in 0..10 {
            let said = ask("/api/v1/chat", &token, json!({"message": format!("needle{number} in the hay")})).await;
            assert_eq!(said.0, 200);
            let begun = Instant::now();
            // It waits for what one has said oneself.
            let (status, found) = ask(SEARCH, &token, json!({"query": format!("needle{number} hay"), "role": "user"})).await;
            assert_eq!((status, &found["results"][0]["message_id"]), (200, &said.1["user_message_id"]));
            worst = worst.max(begun.elapsed());
        }
        assert!(worst < Duration::from_secs(1), "{worst:?}");
    }
}
