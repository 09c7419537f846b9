//! What a client sees of limits.

use std::collections::BTreeMap;

use api::Rates;
use domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

use crate::cast::{code, header, limited, rate, rates, say, status, used};

on_both_engines! {
    async fn a_user_has_so_many_in_any_minute_and_the_service_all_of_them_together(stage: Stage) {
        let app = limited(stage, ["5/minute", "3/minute", "off"]).await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        assert_eq!(say(&ann, 2).await, [200, 200]);
        app.clock.advance(20);
        assert_eq!(say(&ann, 1).await, [200]);
        let refused = ann.post("once more", None).await;
        assert_eq!(header(&refused, "retry-after"), "40");
        assert_eq!(header(&refused, "ratelimit-policy"), r#""service";q=5;w=60, "user";q=3;w=60"#);
        assert_eq!(header(&refused, "ratelimit"), r#""service";r=2;t=40, "user";r=0;t=40"#);
        let body: Value = refused.json().await.unwrap();
        assert_eq!((&body["status"], &body["code"]), (&json!(429), &json!("user_limit_reached")));
        assert_eq!((&body["limit"], &body["current_usage"], &body["retry_after"]), (&json!(3), &json!(3), &json!(40)));

        assert_eq!(say(&bob, 2).await, [200, 200]);
        let refused = cat.post("me, too", None).await;
        assert_eq!(header(&refused, "retry-after"), "40");
        assert_eq!(code(refused, 429).await, "service_limit_reached");
        app.clock.advance(40);
        // The first two are a minute old.
        assert_eq!(say(&ann, 3).await, [200, 200, 429], "the service has no more");
        assert_eq!(used(&ann).await, (5, 3));
    }

    async fn the_status_is_exact_and_looking_counts_nowhere(stage: Stage) {
        let app = limited(stage, ["100/minute", "10/hour", "2/minute"]).await;
        let ann = app.user("ann").await;
        app.clock.advance(60);
        assert_eq!(say(&ann, 2).await, [200, 200]);
        app.clock.advance(10);
        for _ in 0..5 {
            let shown = status(&ann).await;
            let service = json!({"current": 2, "limit": 100, "remaining": 98, "window": "1 minute",
                "window_seconds": 60, "eases_in": 50});
            let user = json!({"current": 2, "limit": 10, "remaining": 8, "window": "1 hour",
                "window_seconds": 3600, "eases_in": 3590});
            assert_eq!(shown, json!({"global": service, "user": user}));
        }
        app.clock.advance(3_590);
        let ann = app.sign_in("ann@example.com").await;
        assert_eq!(used(&ann).await, (0, 0));
        assert_eq!(status(&ann).await["user"]["eases_in"], 0);
    }

    async fn off_is_no_limit_and_is_said_so(stage: Stage) {
        let app = limited(stage, ["off", "off", "off"]).await;
        let ann = app.user("ann").await;
        let answer = ann.post("hello", None).await;
        assert_eq!((header(&answer, "ratelimit"), header(&answer, "ratelimit-policy")), (String::new(), String::new()));
        let shown = status(&ann).await;
        for of in ["global", "user"] {
            assert_eq!((&shown[of]["limit"], &shown[of]["remaining"]), (&Value::Null, &Value::Null));
        }
    }

    async fn an_address_counts_for_everything_but_probes_and_the_status(stage: Stage) {
        let app = limited(stage, ["off", "off", "8/minute"]).await;
        // Registered, and signed in.
        let ann = app.user("ann").await;
        let get = async |path: &str| ann.request(Method::GET, path).send().await.unwrap();
        let answer = get("/api/v1/users/me").await;
        assert_eq!(header(&answer, "ratelimit-policy"), r#""address";q=8;w=60"#);
        assert_eq!(header(&answer, "ratelimit"), r#""address";r=5;t=60"#);
        for path in ["/live", "/ready", "/api/v1/health", "/api/v1/chat/rate-limit", "/api/v1/chat/rate-limit/"] {
            let answer = get(path).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "ratelimit")), (200, String::new()), "{path}");
        }
        assert_eq!(get("/nothing/here").await.status(), 404);
        assert_eq!(app.request(Method::GET, "/api/v1/users/me").send().await.unwrap().status(), 401);
        assert_eq!(ann.post("", None).await.status(), 422);
        assert_eq!(say(&ann, 3).await, [200, 200, 429]);
        let refused = get("/api/v1/users/me").await;
        assert_eq!(header(&refused, "retry-after"), "60");
        assert_eq!(code(refused, 429).await, "address_limit_reached");
        app.clock.advance(60);
        assert_eq!(get("/api/v1/users/me").await.status(), 200);
    }

    async fn who_signs_in_and_registers_hears_how_often(stage: Stage) {
        let app = TestApp::start(stage, Options { sign_in_rate: rate("2/minute"), ..Options::default() }).await;
        let sign_in = async || {
            let body = json!({"email": "ann@example.com", "password": "a guess"});
            app.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap()
        };
        let register = async |name: &str| {
            let body = json!({"name": name, "email": format!("{name}@example.com"), "password": "Passw0rd!"});
            app.request(Method::POST, "/api/v1/users/register").json(&body).send().await.unwrap()
        };
        for (left, statuses) in [(1, (401, 201)), (0, (401, 201)), (0, (429, 429))] {
            let answers = (sign_in().await, register(&format!("ann{left}")).await);
            for (answer, kind) in [(&answers.0, "sign_in"), (&answers.1, "registration")] {
                assert_eq!(header(answer, "ratelimit-policy"), format!(r#""{kind}";q=2;w=60"#));
                assert_eq!(header(answer, "ratelimit"), format!(r#""{kind}";r={left};t=60"#));
            }
            assert_eq!((answers.0.status().as_u16(), answers.1.status().as_u16()), statuses);
            for answer in [answers.0, answers.1].into_iter().filter(|it| it.status() == 429) {
                let told: Value = answer.json().await.unwrap();
                assert_eq!((&told["limit"], &told["current_usage"], &told["retry_after"]), (&json!(2), &json!(2), &json!(60)));
            }
        }
    }

    async fn who_failed_too_often_under_a_name_hears_how_often_that_was(stage: Stage) {
        let app = TestApp::start(stage, Options { sign_in_rate: rate("100/minute"), ..Options::default() }).await;
        let sign_in = async || {
            let body = json!({"email": "ann@example.com", "password": "not-the-password"});
            app.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap()
        };
        for _ in 0..6 {
            assert_eq!(sign_in().await.status(), 401);
        }
        let refused = sign_in().await;
        assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "2".to_owned()));
        let body: Value = refused.json().await.unwrap();
        let told = ["code", "limit", "current_usage", "retry_after"].map(|what| body[what].clone());
        assert_eq!(told, [json!("too_many_sign_ins"), json!(5), json!(6), json!(2)]);
    }

    async fn every_answer_but_those_of_probes_says_how_its_limits_stand(stage: Stage) {
        let app = limited(stage, ["off", "off", "100000/minute"]).await;
        let ann = app.user("ann").await;
        let document: Value = app.request(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap();
        let mut silent = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
                let named: Vec<_> =
                    path.split('/').map(|part| if part.starts_with('{') { "none" } else { part }).collect();
                let answer = ann.request(method, &named.join("/")).send().await.unwrap();
                if header(&answer, "ratelimit").is_empty() {
                    silent.push(path.as_str());
                }
            }
        }
        silent.sort_unstable();
        let never = ["/api/v1/chat/rate-limit", "/api/v1/health", "/chat/rate-limit", "/health", "/healthz", "/live",
            "/metrics", "/ready"];
        assert_eq!(silent, never);
    }

    async fn who_has_a_role_may_have_another_rate(stage: Stage) {
        let of_role = BTreeMap::from([(Role::Auditor, rate("3/minute")), (Role::Admin, None)]);
        let rates = Rates { of_role, ..rates(["off", "1/minute", "off"]) };
        let app = TestApp::start(stage, Options { rates, ..Options::default() }).await;
        let (ann, eve) = (app.user("ann").await, app.user_with("eve", Role::Auditor).await);
        assert_eq!(say(&ann, 2).await, [200, 429]);
        assert_eq!(say(&eve, 4).await, [200, 200, 200, 429]);
        assert_eq!(status(&eve).await["user"]["limit"], 3);
        app.operator().grant("eve@example.com", Role::Admin).await.unwrap();
        assert_eq!(say(&eve, 4).await, [200; 4]);
        assert_eq!(status(&eve).await["user"]["limit"], Value::Null);
    }

    async fn a_key_speaks_for_its_user(stage: Stage) {
        let app = limited(stage, ["off", "3/minute", "off"]).await;
        let ann = app.user("ann").await;
        let made = ann.request(Method::POST, "/api/v1/keys").json(&json!({"name": "mine"})).send().await.unwrap();
        let key = made.json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned();
        assert_eq!(say(&ann, 2).await, [200, 200]);
        let by_key = async || {
            let request = app.request(Method::POST, "/api/v1/chat").header("x-api-key", &key);
            request.json(&json!({"message": "hello"})).send().await.unwrap().status().as_u16()
        };
        assert_eq!((by_key().await, by_key().await), (200, 429));
        assert_eq!(say(&ann, 1).await, [429]);
    }

    async fn each_limit_that_was_reached_is_in_the_audit_log(stage: Stage) {
        let rates = rates(["2/minute", "off", "300/minute"]);
        let app = TestApp::start(stage, Options { rates, sign_in_rate: rate("2/minute"), ..Options::default() }).await;
        let (ann, eve) = (app.user("ann").await, app.user_with("eve", Role::Auditor).await);
        assert_eq!(say(&ann, 3).await, [200, 200, 429]);
        for path in ["login", "register"] {
            let body = json!({"name": "Bob", "email": "bob@example.com", "password": "Passw0rd!"});
            let request = app.request(Method::POST, &format!("/api/v1/users/{path}")).json(&body);
            assert_eq!(request.send().await.unwrap().status(), 429, "{path}");
        }
        let ask = async || app.request(Method::GET, "/api/v1/models").send().await.unwrap().status();
        app.until(async || ask().await == 429).await;
        app.clock.advance(60);
        app.until(async || rows(&eve).await.len() >= 4).await;
        let mut reasons: Vec<_> = rows(&eve).await.iter().map(|row| row["reason"].clone()).collect();
        reasons.sort_by_key(Value::to_string);
        assert_eq!(reasons, ["address", "registration", "service", "sign_in"]);
    }

    async fn the_audit_log_shows_a_limit_that_was_reached_once_a_window(stage: Stage) {
        let app = limited(stage, ["off", "2/minute", "off"]).await;
        let ann = app.user("ann").await;
        assert_eq!(say(&ann, 7).await, [200, 200, 429, 429, 429, 429, 429]);
        let reached = async |count: usize| {
            // It is noted beside the answer.
            app.until(async || rows(&ann).await.len() == count).await;
            let rows = rows(&ann).await;
            (rows[0]["outcome"].clone(), rows[0]["reason"].clone())
        };
        assert_eq!(reached(1).await, (json!("refused"), json!("user")));
        app.clock.advance(60);
        assert_eq!(say(&ann, 4).await, [200, 200, 429, 429]);
        reached(2).await;
        app.settle().await;
        let usage = ann.request(Method::GET, "/api/v1/usage/limits").send().await.unwrap();
        let total = usage.json::<Value>().await.unwrap()["total"].clone();
        assert_eq!(total, json!({"admitted": 4, "refused": 6}), "the last one is told of next");
    }
}

async fn rows(ann: &tests::app::Persona<'_>) -> Vec<Value> {
    let audit = ann.request(Method::GET, "/api/v1/audit/tokens?kind=limit_reached").send().await.unwrap();
    audit.json::<Value>().await.unwrap()["items"].as_array().unwrap().clone()
}
