//! S2: accounts under `/api/v1/users`, refresh tokens that rotate, probes.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::stage::{Play, Stage};
use tests::{Service, on_both_engines};

use super::{Client, curl, has, has_all, is_moment, json_of, post, text};

const REGISTER: &str = r#"curl -X POST http://localhost:8000/api/v1/users/register \
  -H "Content-Type: application/json" \
  -d '{"name": "Ann", "email": " Ann@Example.com ", "password": "Passw0rd!"}'"#;
const LOGIN: &str = r#"curl -X POST http://localhost:8000/api/v1/users/login \
  -H "Content-Type: application/json" -d '{"email": "ann@example.com", "password": "Passw0rd!"}'"#;
const REFRESH: &str = "curl -X POST http://localhost:8000/api/v1/users/refresh-token -H 'Cookie: refresh_token=TOKEN'";
const REFRESH_BY_HEADER: &str =
    "curl -X POST http://localhost:8000/api/v1/users/refresh-token -H 'X-Refresh-Token: TOKEN'";
const LOGOUT: &str = "curl -X POST http://localhost:8000/api/v1/users/logout -b refresh_token=TOKEN";
const LOGOUT_ALL: &str = "curl -X POST http://localhost:8000/api/v1/users/logout-all -H 'X-Refresh-Token: TOKEN'";
const CHAT: &str = r#"curl -X POST http://localhost:8000/api/v1/chat -H "Authorization: Bearer TOKEN" \
  -H "Content-Type: application/json" -d '{"message": "hello"}'"#;
const HISTORY: &str = r#"curl http://localhost:8000/api/v1/chat/history -H "Authorization: Bearer TOKEN""#;
const CLEAR: &str = r#"curl -X DELETE http://localhost:8000/api/v1/chat/history -H "Authorization: Bearer TOKEN""#;
/// The one command that stands in the document.
const METRICS: &str = "curl -u <METRICS_USER>:<METRICS_PASS> http://localhost:8000/metrics";

const COOKIE: &str = "Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict";
const CLEARED: &str = "refresh_token=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict";

/// Where the metrics have a password.
struct Measured(Service);

impl Play for Measured {
    async fn on(stage: Stage) -> Self {
        Self(Service::start(stage, &[("METRICS_USER", "prometheus"), ("METRICS_PASS", "a-password")]).await)
    }
}

async fn sign_in(service: &Service) -> Value {
    json_of(
        post(service, "/api/v1/users/login", json!({"email": "ann@example.com", "password": "Passw0rd!"})).await,
        200,
    )
    .await
}

async fn ann(service: &Service) -> Client<'_> {
    let who = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
    json_of(post(service, "/api/v1/users/register", who).await, 201).await;
    Client { service, token: text(&sign_in(service).await["access_token"]) }
}

async fn send(service: &Service, path: &str, header: (&str, &str)) -> Response {
    service.request(Method::POST, &format!("/api/v1/users/{path}")).header(header.0, header.1).send().await.unwrap()
}

/// The generic refusal, which takes the cookie away.
async fn is_refused(answer: Response) {
    assert_eq!(answer.headers()["set-cookie"], CLEARED);
    let problem = json_of(answer, 401).await;
    has(&problem, json!({"detail": "Email or password incorrect.", "code": "invalid_credentials"}));
}

on_both_engines! {
    async fn every_request_does_what_the_document_says(service: Service) {
        let registered = curl(&service, REGISTER, &[]).await.json(201);
        has(&registered, json!({"name": "Ann", "email": "ann@example.com"}));
        has_all(&registered, &["id"]);
        let taken = curl(&service, REGISTER, &[]).await.json(409);
        has(&taken, json!({"detail": "Email is already registered.", "code": "email_already_registered"}));
        let login = curl(&service, LOGIN, &[]).await;
        let tokens = login.json(200);
        has(&tokens, json!({"token_type": "bearer", "expires_in": 900}));
        let refresh_token = text(&tokens["refresh_token"]);
        assert_eq!(login.headers["set-cookie"], format!("refresh_token={refresh_token}; {COOKIE}"));

        let refreshed = curl(&service, REFRESH, &[("TOKEN", &refresh_token)]).await;
        let by_cookie = refreshed.json(200);
        let next = text(&by_cookie["refresh_token"]);
        assert_ne!(next, refresh_token);
        assert_eq!(refreshed.headers["set-cookie"], format!("refresh_token={next}; {COOKIE}"));
        let by_header = curl(&service, REFRESH_BY_HEADER, &[("TOKEN", &next)]).await.json(200);
        has(&by_header, json!({"token_type": "bearer", "expires_in": 900}));

        let token = text(&by_header["access_token"]);
        let me = Client { service: &service, token: token.clone() }.get("/api/v1/users/me").await;
        has(&me, json!({"id": registered["id"], "name": "Ann", "email": "ann@example.com"}));
        let got = [("TOKEN", token.as_str())];
        let reply = curl(&service, CHAT, &got).await.json(200);
        has(&reply, json!({"response": "Hello! How can I help you today?", "model": "rules"}));
        has_all(&reply, &["message_id", "user_message_id", "session_id", "usage"]);
        is_moment(&reply["created_at"]);
        let history = curl(&service, HISTORY, &got).await.json(200);
        has(&history, json!({"total": 2, "next": null}));
        has(&history["messages"][0], json!({"id": reply["user_message_id"], "role": "user", "content": "hello"}));
        has(&history["messages"][1], json!({"id": reply["message_id"], "role": "bot", "session_id": reply["session_id"]}));
        is_moment(&history["messages"][1]["timestamp"]);
        has(&curl(&service, CLEAR, &got).await.json(200), json!({"deleted_messages": 2}));

        let last = text(&by_header["refresh_token"]);
        for (command, token) in [(LOGOUT, last), (LOGOUT_ALL, text(&sign_in(&service).await["refresh_token"]))] {
            let gone = curl(&service, command, &[("TOKEN", &token)]).await;
            assert_eq!((gone.status, gone.text.as_str(), gone.headers["set-cookie"].as_str()), (204, "", CLEARED));
            let again = curl(&service, command, &[("TOKEN", &token)]).await;
            has(&again.json(401), json!({"code": "invalid_credentials"}));
            assert_eq!(again.headers["set-cookie"], CLEARED);
        }
    }

    async fn what_proves_nothing_is_refused_alike(service: Service) {
        ann(&service).await;
        for path in ["refresh-token", "logout", "logout-all"] {
            for header in [("x-nothing", "at all"), ("x-refresh-token", "crt_unknown"), ("cookie", "refresh_token=crt_unknown")] {
                is_refused(send(&service, path, header).await).await;
            }
        }
        for (email, password) in [("ann@example.com", "Passw0rd?"), ("nobody@example.com", "Passw0rd!"), ("no email", "x")] {
            let wrong = post(&service, "/api/v1/users/login", json!({"email": email, "password": password})).await;
            has(&json_of(wrong, 401).await, json!({"detail": "Email or password incorrect.", "code": "invalid_credentials"}));
        }
    }

    async fn a_log_out_ends_one_sign_in_or_all(service: Service) {
        ann(&service).await;
        let (desk, phone, car) = (sign_in(&service).await, sign_in(&service).await, sign_in(&service).await);
        let is_in = async |tokens: &Value| {
            let token = text(&tokens["refresh_token"]);
            send(&service, "refresh-token", ("x-refresh-token", &token)).await.status() == 200
        };
        let bearer = format!("Bearer {}", text(&car["access_token"]));
        is_refused(send(&service, "logout", ("authorization", &bearer)).await).await;
        assert!(is_in(&car).await, "which sign-in is over, the refresh token says");
        let logout = service.request(Method::POST, "/api/v1/users/logout").header("authorization", &bearer);
        let answer = logout.header("x-refresh-token", text(&desk["refresh_token"])).send().await.unwrap();
        assert_eq!(answer.status(), 204, "a bearer may come along, whosever it is");
        assert_eq!((is_in(&desk).await, is_in(&phone).await, is_in(&car).await), (false, true, true));
        let gone = send(&service, "logout-all", ("authorization", &bearer)).await;
        assert_eq!((gone.status().as_u16(), gone.headers()["set-cookie"].to_str().unwrap()), (204, CLEARED));
        assert_eq!((is_in(&phone).await, is_in(&car).await), (false, false));
    }

    async fn a_password_has_a_letter_a_digit_and_a_symbol(service: Service) {
        let with = |password: &str| json!({"name": "Bob", "email": "bob@example.com", "password": password});
        for password in ["Passw0r", "Pass!word", "Passw0rd", "12345678!", "", "Passw0rd?"] {
            let refused = post(&service, "/api/v1/users/register", with(password)).await;
            assert_eq!(json_of(refused, 422).await["errors"][0]["field"], "password", "{password}");
        }
        json_of(post(&service, "/api/v1/users/register", with("Passw0r!")).await, 201).await;
        // Whoever chose one elsewhere signs in here all the same.
        let plain = json!({"username": "cleo", "email": "cleo@example.com", "password": "only letters"});
        json_of(post(&service, "/auth/register", plain.clone()).await, 200).await;
        json_of(post(&service, "/api/v1/users/login", plain).await, 200).await;
    }

    async fn a_message_has_its_bounds(service: Service) {
        let ann = ann(&service).await;
        let padded = format!("  {}\n", "x".repeat(4_096));
        for (message, status) in [("", 422), (" \n ", 422), ("x", 200), (padded.as_str(), 200), (&"x".repeat(4_097), 422)] {
            assert_eq!(ann.post("/api/v1/chat", json!({"message": message})).await.status(), status, "{}", message.len());
        }
        let session = ann.get("/api/v1/chat/history").await["messages"][0]["session_id"].clone();
        for (session, status) in [(json!(null), 200), (session, 200), (json!("01980000-0000-7000-8000-000000000000"), 404)] {
            let asked = json!({"message": "hi", "session_id": session, "model": "any", "max_tokens": 5, "temperature": 1.5});
            assert_eq!(ann.post("/api/v1/chat", asked).await.status(), status);
        }
        for number in 0..26 {
            ann.post("/api/v1/chat", json!({"message": format!("number {number}")})).await;
        }
        let newest = ann.get("/api/v1/chat/history").await;
        assert_eq!((newest["messages"].as_array().unwrap().len(), &newest["total"]), (50, &json!(60)));
        let older = ann.get(&format!("/api/v1/chat/history?before={}", text(&newest["next"]))).await;
        assert_eq!((older["messages"].as_array().unwrap().len(), &older["next"]), (10, &Value::Null));
        assert_eq!(ann.get("/api/v1/chat/history?limit=1000").await["messages"].as_array().unwrap().len(), 60);
    }

    async fn the_probes_and_the_metrics_answer(service: Measured) {
        let Measured(service) = &service;
        let get = async |path: &str| json_of(service.request(Method::GET, path).send().await.unwrap(), 200).await;
        assert_eq!(get("/live").await, json!({"status": "alive"}));
        assert_eq!(get("/ready").await["status"], "ready");
        assert_eq!(get("/api/v1/health").await, json!({"status": "ok", "db": "ok"}));
        let got = [("<METRICS_USER>", "prometheus"), ("<METRICS_PASS>", "a-password")];
        let metrics = curl(service, METRICS, &got).await;
        assert_eq!(metrics.status, 200, "{metrics:?}");
        assert!(metrics.headers["content-type"].starts_with("text/plain") && metrics.text.contains("# TYPE"), "{metrics:?}");
        let wrong = [("<METRICS_USER>", "prometheus"), ("<METRICS_PASS>", "another")];
        assert_eq!(curl(service, METRICS, &wrong).await.status, 401);
    }
}
