//! What the five programs did wrong, and this one must not: a test for each.
//!
//! Four are tested where they belong: how long a wrong password takes in `timing.rs`, that no token is at rest in
//! `secrets`, that a list of conversations ends in `s4::conversations_come_in_pages`, and S3's sample in `settings`.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use store::Position;
use tests::app::Options;
use tests::fake_provider::Script;
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Persona, Service, TestApp, on_both_engines};

use super::s4::ended;
use super::{Asking, Client, PASSWORD, has_all, is_moment, json_of, post, text, user};

const DAY: i64 = 86_400;

/// Where a user may ask once a minute.
struct Slow(Service);

impl Play for Slow {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("RATE_LIMIT_USER", "1/minute")]).await)
    }
}

fn registration(email: &str) -> Value {
    json!({"name": "Ann", "email": email, "password": "Passw0rd!"})
}

async fn sign_in(service: &Service, email: &str) -> Value {
    json_of(post(service, "/api/v1/users/login", json!({"email": email, "password": "Passw0rd!"})).await, 200).await
}

on_both_engines! {
    async fn s0_total_is_all_whatever_the_limit(service: Service) {
        let ann = user(&service, "ann").await;
        for _ in 0..3 {
            json_of(ann.post("/chat", json!({"content": "hello"})).await, 200).await;
        }
        let last = ann.get("/chat/history?limit=2").await;
        assert_eq!((last["messages"].as_array().unwrap().len(), &last["total"]), (2, &json!(6)));
    }

    async fn s0_retry_after_is_what_is_left(service: Slow) {
        let ann = user(&service.0, "ann").await;
        json_of(ann.post("/chat", json!({"content": "hello"})).await, 200).await;
        let left = async || {
            let refused = json_of(ann.post("/chat", json!({"content": "hello"})).await, 429).await;
            refused["detail"]["retry_after"].as_u64().unwrap()
        };
        let first = left().await;
        assert!((1..=60).contains(&first), "{first}");
        let less = async { while left().await >= first {} };
        tokio::time::timeout(Duration::from_secs(10), less).await.unwrap();
    }

    async fn s0_input_has_its_bounds(service: Service) {
        let ann = user(&service, "ann").await;
        assert_eq!(ann.post("/chat", json!({"content": "x".repeat(32_001)})).await.status(), 422);
        for who in [json!({"username": "x".repeat(51), "password": PASSWORD}), json!({"username": "bob", "password": "x".repeat(129)})] {
            assert_eq!(post(&service, "/register", who).await.status(), 422);
        }
        // At the end: it is not read to its own, and the connection goes.
        assert_eq!(ann.post("/chat", json!({"content": "x".repeat(513 << 10)})).await.status(), 413);
    }

    async fn s0_every_character_of_a_password_counts(service: Service) {
        let password = "x".repeat(72);
        let who = json!({"username": "ann", "password": format!("{password}a")});
        json_of(post(&service, "/register", who).await, 200).await;
        for (password, status) in [(format!("{password}b"), 401), (password.clone(), 401), (format!("{password}a"), 200)] {
            let form = [("username", "ann"), ("password", password.as_str())];
            let answer = service.request(Method::POST, "/token").form(&form).send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
    }

    async fn s0_times_have_a_zone(service: Service) {
        let ann = user(&service, "ann").await;
        is_moment(&json_of(ann.post("/chat", json!({"content": "hello"})).await, 200).await["timestamp"]);
        is_moment(&ann.get("/chat/history").await["messages"][0]["timestamp"]);
        is_moment(&ann.get("/health").await["timestamp"]);
    }

    async fn s1_a_reply_says_its_session(service: Service) {
        let ann = user(&service, "ann").await;
        let first = json_of(ann.post("/api/chat", json!({"message": "hello"})).await, 200).await;
        let next = json!({"message": "more", "session_id": first["session_id"]});
        assert_eq!(json_of(ann.post("/api/chat", next).await, 200).await["session_id"], first["session_id"]);
    }

    async fn s2_no_refresh_token_is_written_down(service: Service) {
        json_of(post(&service, "/api/v1/users/register", registration("ann@example.com")).await, 201).await;
        let token = text(&sign_in(&service, "ann@example.com").await["refresh_token"]);
        let rotated = service.request(Method::POST, "/api/v1/users/refresh-token").header("x-refresh-token", &token);
        let next = text(&json_of(rotated.send().await.unwrap(), 200).await["refresh_token"]);
        let written = format!("{:?}", service.stage.log.read(Position::START, 1_000).await.unwrap());
        assert!(written.contains("TokenRotated"), "{written}");
        for token in [token, next] {
            assert!(!written.contains(&token) && !service.node.logs().contains(&token));
        }
    }

    async fn s2_six_refreshes_at_once_have_one_successor(service: Service) {
        json_of(post(&service, "/api/v1/users/register", registration("ann@example.com")).await, 201).await;
        let token = text(&sign_in(&service, "ann@example.com").await["refresh_token"]);
        let refresh = async || {
            let request = service.request(Method::POST, "/api/v1/users/refresh-token").header("x-refresh-token", &token);
            text(&json_of(request.send().await.unwrap(), 200).await["refresh_token"])
        };
        let next = join_all((0..6).map(|_| refresh())).await;
        assert!(next.iter().all(|other| *other == next[0] && *other != token), "{next:?}");
    }

    async fn s2_a_rotation_makes_no_sign_in_younger(app: TestApp) {
        let mut ann = app.user("ann").await;
        for _ in 0..4 {
            app.clock.advance(6 * DAY);
            ann = ann.refresh().await.ok().unwrap();
        }
        app.clock.advance(6 * DAY);
        assert_eq!(ann.refresh().await.err(), Some(401), "thirty days after the sign-in");
    }

    async fn s2_a_sign_in_knows_from_where_it_came(service: Service) {
        json_of(post(&service, "/api/v1/users/register", registration("ann@example.com")).await, 201).await;
        let body = json!({"email": "ann@example.com", "password": "Passw0rd!"});
        let login = service.request(Method::POST, "/api/v1/users/login").header("user-agent", "Netscape/4.0").json(&body);
        let token = text(&json_of(login.send().await.unwrap(), 200).await["access_token"]);
        let sign_ins = Client { service: &service, token }.get("/api/v1/users/me/sign-ins").await;
        assert_eq!((&sign_ins[0]["ip"], &sign_ins[0]["user_agent"]), (&json!("127.0.0.1"), &json!("Netscape/4.0")));
    }

    async fn s2_of_registrations_at_once_one_is_made(service: Service) {
        let emails = ["ann@example.com", "Ann@Example.com"].iter().cycle().take(8);
        let register = async |email: &str| post(&service, "/api/v1/users/register", registration(email)).await.status().as_u16();
        let mut statuses = join_all(emails.map(|email| register(email))).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn s2_an_address_is_one_however_it_is_spelt(service: Service) {
        json_of(post(&service, "/api/v1/users/register", registration("Ann@x.yz")).await, 201).await;
        assert_eq!(post(&service, "/api/v1/users/register", registration("ann@x.yz")).await.status(), 409);
        sign_in(&service, "ANN@X.YZ").await;
    }

    async fn s2_a_password_that_is_refused_is_not_repeated(service: Service) {
        for (path, password) in [("/api/v1/users/register", "hunter2"), ("/register", "hunter2"), ("/auth/register", "hunter2"), ("/api/auth/register", "hunter2")] {
            let body = json!({"name": "Ann", "username": "ann", "email": "ann@example.com", "password": password});
            let refused = post(&service, path, body).await;
            assert!([400, 422].contains(&refused.status().as_u16()), "{path}");
            let said = refused.text().await.unwrap();
            assert!(said.contains("password") && !said.contains(password), "{path}: {said}");
        }
    }

    async fn s3_an_unknown_session_is_404(service: Service) {
        let ann = user(&service, "ann").await;
        let path = "/api/v1/sessions/018bcfe5-6800-7000-8000-00000000002a";
        assert_eq!(ann.request(Method::GET, path).send().await.unwrap().status(), 404);
        assert_eq!(ann.post(&format!("{path}/messages"), json!({"content": "hi"})).await.status(), 404);
    }

    async fn s3_a_message_has_its_id_and_a_change_its_time(service: Service) {
        let ann = user(&service, "ann").await;
        let made = json_of(ann.post("/api/v1/sessions/", json!({"session_name": "a"})).await, 201).await;
        let path = format!("/api/v1/sessions/{}", text(&made["session_id"]));
        let added = json_of(ann.post(&format!("{path}/messages"), json!({"content": "hi"})).await, 201).await;
        has_all(&added, &["message_id"]);
        let spoken = ann.get(&path).await;
        let changed = ann.request(Method::PATCH, &path).json(&json!({"session_name": "b"})).send().await.unwrap();
        let times = [made, spoken, json_of(changed, 200).await].map(|it| text(&it["updated_at"]));
        assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    }

    async fn s4_credentials_belong_into_the_body(service: Service) {
        user(&service, "ann").await;
        let query = format!("/auth/login?username=ann&password={PASSWORD}");
        let bare = service.request(Method::POST, &query).send().await.unwrap();
        assert_eq!(bare.status(), 422);
        assert_eq!(post(&service, &query, json!({})).await.status(), 422);
        assert!(!service.node.logs().contains(PASSWORD), "nor into the log");
    }

    async fn s4_a_providers_limit_is_no_fault_of_ours(on: Asking) {
        let ann = user(&on.service, "ann").await;
        on.fake.then(Script::rate_limited(60));
        let limited = ann.post("/chat", json!({"message": "hi"})).await;
        assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"60".parse().unwrap()));
    }

    async fn s4_a_result_is_there_for_good(stage: Stage) {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        let ann = app.user("ann").await;
        let body = json!({"message": "hello", "model": "fake/one"});
        let task = ann.request(Method::POST, "/chat/background").json(&body).send().await.unwrap();
        let path = format!("/chat/tasks/{}", text(&json_of(task, 200).await["task_id"]));
        let look = async |who: &Persona<'_>| json_of(who.request(Method::GET, &path).send().await.unwrap(), 200).await;
        app.until(async || look(&ann).await["status"] == "completed").await;
        let told = look(&ann).await;
        assert_eq!(told["result"]["message"], "You said: hello");
        for time in [3_601, 2 * DAY] {
            app.clock.advance(time);
            assert_eq!(look(&app.sign_in("ann@example.com").await).await, told);
        }
    }

    async fn s4_a_result_outlives_the_process(on: Asking) {
        let Asking { mut service, fake } = on;
        let (token, path, told) = {
            let ann = user(&service, "ann").await;
            fake.then(Script::says(&["It is ", "done."]));
            let task = json_of(ann.post("/chat/background", json!({"message": "hello"})).await, 200).await;
            let told = ended(&ann, &task).await;
            (ann.token, format!("/chat/tasks/{}", text(&task["task_id"])), told)
        };
        assert_eq!((&told["status"], &told["result"]["message"]), (&json!("completed"), &json!("It is done.")));
        service.node.kill().await;
        service.node = service.binary.start().await;
        assert_eq!(Client { service: &service, token }.get(&path).await, told);
        assert_eq!(fake.asked().len(), 1, "nobody is asked again");
    }
}
