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
