//! Bad input: each a clear error, never a 500, nothing half-written, nothing of it repeated.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

const CHAT: &str = "/api/v1/chat";
const REGISTER: &str = "/api/v1/users/register";
const SECRET: &str = "hunter2-must-not-come-back";

/// The problem that came back, after what every problem must be.
async fn problem(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert!(status < 500, "{response:?}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let text = response.text().await.unwrap();
    assert!(!text.contains(SECRET), "what was sent is repeated: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["status"], status);
    assert!(body["detail"].is_string() && body["code"].is_string() && body["request_id"].is_string(), "{body}");
    (status, body)
}

async fn send(ann: &Persona<'_>, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = ann.request(Method::POST, path).header("content-type", "application/json").body(body);
    problem(request.send().await.unwrap()).await
}

on_both_engines! {
    async fn a_body_that_is_no_json_is_named_so(app: TestApp) {
        let ann = app.user("ann").await;
        for body in ["", "{", "nonsense", "{\"message\": \"hunter2-must-not-come-back", "{\"message\": \"a\"} trailing"] {
            let (status, problem) = send(&ann, CHAT, body).await;
            assert_eq!((status, &problem["code"]), (400, &json!("bad_json")), "{body}");
        }
        // An unpaired surrogate is no text, and bytes that are no UTF-8 are none either.
        let (status, _) = send(&ann, CHAT, r#"{"message": "\ud83d"}"#).await;
        assert!(status == 400 || status == 422);
        let (status, _) = send(&ann, CHAT, b"{\"message\": \"\xff\xfe\"}".to_vec()).await;
        assert!(status == 400 || status == 422);
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        let (status, _) = send(&ann, CHAT, deep).await;
        assert!(status == 400 || status == 422);
        app.settle().await;
        assert_eq!(ann.history("").await["total"], 0);
    }

    async fn fields_of_the_wrong_type_or_missing_are_named(app: TestApp) {
        let ann = app.user("ann").await;
        for body in [json!({}), json!({"message": 5}), json!({"message": null}), json!([]), json!("text"), json!(null),
            json!({"message": {"a": SECRET}}), json!({"message": "x", "session_id": 7}), json!({"session_id": SECRET, "message": [SECRET]})] {
            let (status, problem) = send(&ann, CHAT, body.to_string()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{body}");
            assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
        }
        let (_, problem) = send(&ann, CHAT, "{}").await;
        assert_eq!(problem["errors"][0]["message"], "the field message is missing");
    }

    async fn a_message_has_its_limits(app: TestApp) {
        let ann = app.user("ann").await;
        for message in ["", "   \n\t ", &"x".repeat(4_097), &"é".repeat(4_097), "nul \0 inside"] {
            let (status, problem) = send(&ann, CHAT, json!({"message": message}).to_string()).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("message")));
        }
        app.settle().await;
        assert_eq!(ann.history("").await["total"], 0);
        let odd = ["é".repeat(4_096), "<script>alert(1)</script> & \"quotes\" \\ `code`".to_owned(), "שלום עולם \u{202e}rtl".to_owned(),
            "👩‍👩‍👧‍👦 🦀".to_owned(), "tab\tand\r\nlines\u{7}bell".to_owned(), "  kept as typed  ".to_owned()];
        for message in &odd {
            ann.say(message, None).await;
        }
        let history = ann.history("?limit=1000").await;
        let back: Vec<_> = history["messages"].as_array().unwrap().iter().step_by(2).map(|it| it["content"].as_str().unwrap()).collect();
        assert_eq!(back, odd, "what was taken comes back as it was sent");
    }

    async fn a_body_over_the_limit_is_refused_before_it_is_read(app: TestApp) {
        let ann = app.user("ann").await;
        let (status, problem) = send(&ann, CHAT, "x".repeat(600 << 10)).await;
        assert_eq!((status, &problem["code"]), (413, &json!("too_large")));
    }

    async fn unknown_routes_and_methods_are_told_apart(app: TestApp) {
        let (status, body) = problem(app.request(Method::GET, "/nowhere").send().await.unwrap()).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")));
        for (method, path) in [(Method::PATCH, CHAT), (Method::DELETE, "/live"), (Method::PUT, REGISTER)] {
            let response = app.request(method, path).send().await.unwrap();
            assert!(response.headers().contains_key("allow"));
            assert_eq!(problem(response).await.0, 405);
        }
    }

    async fn only_json_is_taken(app: TestApp) {
        let ann = app.user("ann").await;
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let request = ann.request(Method::POST, CHAT).header("content-type", kind).body(r#"{"message": "hi"}"#);
            assert_eq!(problem(request.send().await.unwrap()).await.0, 415, "{kind}");
        }
        let request = ann.request(Method::POST, CHAT).header("content-type", "application/json; charset=utf-8").body(r#"{"message": "hi"}"#);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    async fn a_registration_hears_of_all_its_faults_and_of_no_secret(app: TestApp) {
        let register = |body: Value| app.request(Method::POST, REGISTER).json(&body).send();
        let answer = register(json!({"name": "", "email": "no email", "password": SECRET, "username": "a@b"})).await.unwrap();
        let (status, body) = problem(answer).await;
        let fields: Vec<_> = body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
        assert_eq!((status, fields), (422, vec!["name", "email", "username", "password"]));
        for password in ["short1!", "onlyletters!", "12345678!", "NoSymbol1", &"x1!".repeat(50)] {
            let body = json!({"name": "Ann", "email": "ann@example.com", "password": password});
            let (status, problem) = problem(register(body).await.unwrap()).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("password")), "{password}");
        }
        for body in [json!({"name": "A", "email": "a@b.c", "password": [SECRET]}), json!({"password": SECRET}), json!(SECRET)] {
            assert_eq!(problem(register(body).await.unwrap()).await.0, 422);
        }
        assert_eq!(app.stage.log.head().await.unwrap(), store::Position::START, "nothing was written");
    }

    async fn parameters_are_checked(app: TestApp) {
        let ann = app.user("ann").await;
        for query in ["limit=0", "limit=1001", "limit=-1", "limit=many", "before=x", "before=1&after=2", "limit=99999999999999999999"] {
            let answer = ann.request(Method::GET, &format!("/api/v1/chat/history?{query}")).send().await.unwrap();
            assert_eq!(problem(answer).await.0, 422, "{query}");
        }
        for header in ["x", "-1", "99999999999999999999999"] {
            let answer = ann.request(Method::GET, "/api/v1/chat/history").header("x-min-position", header).send().await.unwrap();
            assert_eq!(problem(answer).await.0, 422, "{header}");
        }
        for query in ["before=-5", "after=9223372036854775807", "before=9223372036854775807&limit=1000"] {
            ann.history(&format!("?{query}")).await;
        }
    }
}
