//! What people do, over HTTP, on both engines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::PASSWORD;
use tests::{TestApp, on_both_engines};

fn contents(history: &Value) -> Vec<&str> {
    history["messages"].as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap()).collect()
}

on_both_engines! {
    async fn a_talk_is_answered_and_remembered(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("hello", None).await;
        assert_eq!(first["response"], "Hello! How can I help you today?");
        assert_eq!(first["model"], "rules");
        assert_eq!(first["created_at"], "2026-01-01T00:00:00Z");
        let second = ann.say("what now?", Some(&first["session_id"])).await;
        assert_eq!(second["session_id"], first["session_id"]);

        // No settle: one sees one's own writes at once.
        let history = ann.history("").await;
        let expected = ["hello", "Hello! How can I help you today?", "what now?", "You said: 'what now?'. I'm a simple bot, but I heard you!"];
        assert_eq!(contents(&history), expected);
        assert_eq!((&history["total"], &history["next"]), (&json!(4), &Value::Null));
        let message = &history["messages"][1];
        assert_eq!(message["id"], first["message_id"]);
        assert_eq!((&message["role"], &message["session_id"]), (&json!("bot"), &first["session_id"]));
        assert_eq!(history["messages"][0]["id"], first["user_message_id"]);
    }

    async fn a_history_is_paged_by_place(app: TestApp) {
        let ann = app.user("ann").await;
        let session = ann.say("m0", None).await["session_id"].clone();
        for n in 1..6 {
            ann.say(&format!("m{n}"), Some(&session)).await;
        }
        let newest = ann.history("?limit=4").await;
        assert_eq!(contents(&newest)[0], "m4");
        assert_eq!(newest["total"], 12);
        let next = newest["next"].as_str().unwrap();
        let older = ann.history(&format!("?limit=4&before={next}")).await;
        assert_eq!((contents(&older)[0], contents(&older)[2]), ("m2", "m3"));
        let after = ann.history(&format!("?limit=2&after={}", older["next"].as_str().unwrap())).await;
        assert_eq!(contents(&after)[1], "m3");
        let of_session = ann.history(&format!("?limit=1000&session_id={}", session.as_str().unwrap())).await;
        assert_eq!((contents(&of_session).len(), &of_session["total"]), (12, &json!(12)));
        let other = ann.say("elsewhere", None).await;
        let of_other = ann.history(&format!("?session_id={}", other["session_id"].as_str().unwrap())).await;
        assert_eq!((contents(&of_other)[0], &of_other["total"]), ("elsewhere", &json!(2)));
    }

    async fn what_belongs_to_others_is_not_there(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let session = ann.say("mine", None).await["session_id"].clone();
        let unknown = json!("01980000-0000-7000-8000-000000000000");
        for session in [&session, &unknown, &json!("no id")] {
            let response = bob.post("let me in", Some(session)).await;
            assert_eq!(response.status(), 404);
            assert_eq!(response.json::<Value>().await.unwrap()["code"], "session_not_found");
            let path = format!("/api/v1/chat/history?session_id={}", session.as_str().unwrap().replace(' ', "+"));
            assert_eq!(bob.request(Method::GET, &path).send().await.unwrap().status(), 404);
        }
        app.settle().await;
        assert_eq!(contents(&bob.history("").await), [""; 0]);
        assert_eq!(contents(&ann.history("").await)[0], "mine");
    }

    async fn a_cleared_history_is_gone_and_says_how_much_it_was(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let session = ann.say("one", None).await["session_id"].clone();
        ann.say("two", Some(&session)).await;
        ann.say("three", None).await;
        bob.say("bob's own", None).await;
        let cleared = ann.request(Method::DELETE, "/api/v1/chat/history").send().await.unwrap();
        assert!(cleared.headers().contains_key("x-event-position"));
        assert_eq!(cleared.json::<Value>().await.unwrap(), json!({"deleted_messages": 6}));
        let history = ann.history("").await;
        assert_eq!((contents(&history), &history["total"]), (vec![], &json!(0)));
        assert_eq!(ann.post("still there?", Some(&session)).await.status(), 404);
        let again = ann.request(Method::DELETE, "/api/v1/chat/history").send().await.unwrap();
        assert_eq!(again.json::<Value>().await.unwrap(), json!({"deleted_messages": 0}));
        app.settle().await;
        assert_eq!(bob.history("").await["total"], 2);
    }

    async fn a_name_is_taken_once_however_it_is_spelt(app: TestApp) {
        app.user("ann").await;
        let body = |email: &str, username: Value| json!({"name": "Ann", "email": email, "password": PASSWORD, "username": username});
        let register = |body: Value| app.request(Method::POST, "/api/v1/users/register").json(&body).send();
        let taken = register(body(" ANN@example.COM ", Value::Null)).await.unwrap();
        assert_eq!(taken.status(), 409);
        let problem = taken.json::<Value>().await.unwrap();
        assert_eq!(problem["detail"], "Email is already registered.");
        assert_eq!(problem["code"], "email_already_registered");
        assert_eq!(register(body("ann2@example.com", json!("Ann"))).await.unwrap().status(), 201);
        let taken = register(body("ann3@example.com", json!("aNN"))).await.unwrap();
        assert_eq!(taken.json::<Value>().await.unwrap()["code"], "username_already_registered");
        // All or nothing: the email of the one who was refused is still free.
        assert_eq!(register(body("ann3@example.com", Value::Null)).await.unwrap().status(), 201);
    }

    async fn many_at_once_want_one_email_and_one_gets_it(app: TestApp) {
        let register = |n: usize| {
            let email = if n.is_multiple_of(2) { "race@example.com" } else { "RACE@Example.com" };
            let body = json!({"name": "Racer", "email": email, "password": PASSWORD});
            app.request(Method::POST, "/api/v1/users/register").json(&body).send()
        };
        let answers = futures::future::join_all((0..24).map(register)).await;
        let mut codes: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
        codes.sort_unstable();
        assert_eq!(codes, [&[201][..], &[409; 23]].concat());
    }

    async fn who_signs_in_must_know_the_password(app: TestApp) {
        app.user("ann").await;
        let login = |email: &str, password: &str| {
            let body = json!({"email": email, "password": password});
            app.request(Method::POST, "/api/v1/users/login").json(&body).send()
        };
        let mut bodies = Vec::new();
        let long = "x".repeat(500);
        for (email, password) in [("ann@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("no email", PASSWORD), ("ann@example.com", ""), ("ann@example.com", &long)] {
            let answer = login(email, password).await.unwrap();
            assert_eq!(answer.status(), 401, "{email}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            let mut body = answer.json::<Value>().await.unwrap();
            body.as_object_mut().unwrap().remove("request_id").unwrap();
            bodies.push(body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "nobody can tell an unknown name from a wrong password");
        assert_eq!(bodies[0]["code"], "invalid_credentials");
        let answer = login(" Ann@Example.com ", PASSWORD).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.json::<Value>().await.unwrap();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(900)));
    }

    async fn a_token_is_asked_for_and_ends(app: TestApp) {
        let ann = app.user("ann").await;
        let bare = app.request(Method::GET, "/api/v1/chat/history").send().await.unwrap();
        assert_eq!(bare.status(), 401);
        assert_eq!(bare.json::<Value>().await.unwrap()["detail"], "Not authenticated");
        let bad = app.request(Method::GET, "/api/v1/chat/history").bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(bad.json::<Value>().await.unwrap()["detail"], "Could not validate credentials");
        app.clock.advance(890);
        ann.history("").await;
        app.clock.advance(30);
        assert_eq!(ann.request(Method::GET, "/api/v1/chat/history").send().await.unwrap().status(), 401);
    }

    async fn a_query_waits_for_what_it_must_have_seen(app: TestApp) {
        let ann = app.user("ann").await;
        let posted = ann.post("hello", None).await;
        let position: i64 = posted.headers()["x-event-position"].to_str().unwrap().parse().unwrap();
        let ask = |position: i64| ann.request(Method::GET, "/api/v1/chat/history").header("x-min-position", position).send();
        let seen = ask(position).await.unwrap();
        assert!(!seen.headers().contains_key("x-projection-lag"));
        let ahead = ask(position + 5).await.unwrap();
        assert_eq!(ahead.status(), 200);
        assert_eq!(ahead.headers()["x-projection-lag"], "5");
    }

    async fn the_probes_say_how_it_is(app: TestApp) {
        let get = |path: &'static str| app.request(Method::GET, path).send();
        assert_eq!(get("/live").await.unwrap().json::<Value>().await.unwrap(), json!({"status": "alive"}));
        assert_eq!(get("/api/v1/health").await.unwrap().json::<Value>().await.unwrap(), json!({"status": "ok", "db": "ok"}));
        app.user("ann").await.say("hello", None).await;
        app.settle().await;
        let ready = get("/ready").await.unwrap().json::<Value>().await.unwrap();
        assert_eq!((&ready["status"], &ready["degraded"]), (&json!("ready"), &json!([])));
        let caught_up = |name: &&str| json!({"name": name, "position": ready["head"], "lag": 0});
        let all: Vec<_> = ["embeddings", "history", "rate_limit", "search", "token_activity", "usage"].iter().map(caught_up).collect();
        assert_eq!(ready["projections"], json!(all));
    }

    async fn every_answer_is_traceable_and_safe(app: TestApp) {
        let answer = app.request(Method::GET, "/nowhere").header("x-request-id", "mine-1").send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "mine-1");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["x-frame-options"], "DENY");
        assert_eq!(answer.json::<Value>().await.unwrap()["request_id"], "mine-1");
        let answer = app.request(Method::GET, "/live").header("x-request-id", "bad id").send().await.unwrap();
        assert_ne!(answer.headers()["x-request-id"], "bad id");
    }
}
