//! What the settings of signing in come to, over HTTP.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Service, Stage};

use crate::{fails, me, token};

const THREE: (&str, &str) = ("RATE_LIMIT_SIGN_IN", "3/minute");

/// Tries to sign in, as a proxy says that somebody far away does.
async fn try_from(service: &Service, name: &str, address: &str) -> Response {
    let body = json!({"email": name, "password": "not-the-password"});
    let request = service.request(Method::POST, "/api/v1/users/login").json(&body);
    request.header("x-forwarded-for", address).send().await.unwrap()
}

async fn statuses(service: &Service, addresses: [&str; 4]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for address in addresses {
        statuses.push(try_from(service, &format!("{address}@example.com"), address).await.status().as_u16());
    }
    statuses
}

/// When to come again, and the rest of what is said: nothing that tells one refusal from another.
async fn too_many(answer: Response) -> (u64, Value) {
    assert_eq!(answer.status(), 429);
    let header: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let mut body: Value = answer.json().await.unwrap();
    let said = body.as_object_mut().unwrap();
    assert!(said.remove("request_id").is_some());
    assert_eq!(said.remove("retry_after"), Some(json!(header)));
    assert!((1..=60).contains(&header), "{header}");
    (header, body)
}

#[tokio::test]
async fn who_tries_too_often_waits_whoever_they_try_to_be() {
    let service = Service::start(Stage::sqlite().await, &[THREE]).await;
    service.binary.run_told("correct horse", ["user", "create", "ann", "--password-stdin"]).await;
    let body = json!({"username": "ann", "password": "correct horse"});
    let login = || service.request(Method::POST, "/api/v1/users/login").json(&body);
    let tokens: Value = login().send().await.unwrap().json().await.unwrap();
    for name in ["ann", "nobody@example.com"] {
        assert_eq!(try_from(&service, name, "").await.status(), 401);
    }
    let (known, body) = too_many(try_from(&service, "ann", "").await).await;
    let (unknown, same) = too_many(try_from(&service, "other@example.com", "").await).await;
    assert!(known.abs_diff(unknown) <= 1 && body == same, "{body} {same}");
    let (_, same) = too_many(login().send().await.unwrap()).await;
    assert_eq!(body, same, "nor does the right password");

    // Who is in stays in, and gets out.
    let send = async |what: &str, token: &Value| {
        let request = service.request(Method::POST, &format!("/api/v1/users/{what}"));
        request.header("x-refresh-token", token.as_str().unwrap()).send().await.unwrap()
    };
    let mut refresh_token = tokens["refresh_token"].clone();
    for _ in 0..5 {
        let answer = send("refresh-token", &refresh_token).await;
        assert_eq!(answer.status(), 200);
        refresh_token = answer.json::<Value>().await.unwrap()["refresh_token"].take();
    }
    assert!(me(&service, tokens["access_token"].as_str().unwrap()).await.is_ok());
    assert_eq!(send("logout", &refresh_token).await.status(), 204);
}

#[tokio::test]
async fn an_address_is_believed_of_a_proxy_that_is_trusted() {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let service = Service::start(Stage::sqlite().await, &[THREE]).await;
    assert_eq!(statuses(&service, addresses).await, [401, 401, 401, 429], "anybody can write a header");
    let seen = service.operate(["audit", "tokens", "--json", "--kind", "sign_in_failed"]).await;
    assert!(seen.contains(r#""ip":"127.0.0.1""#) && !seen.contains(r#""ip":"192.0.2"#), "{seen}");

    let service = Service::start(Stage::sqlite().await, &[THREE, ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    assert_eq!(statuses(&service, addresses).await, [401; 4]);
    assert_eq!(statuses(&service, ["192.0.2.9"; 4]).await, [401, 401, 401, 429]);
    let seen = service.operate(["audit", "tokens", "--json", "--address", "192.0.2.4"]).await;
    assert_eq!(seen.lines().count(), 1, "{seen}");
}

#[tokio::test]
async fn the_nist_policy_wants_long_passwords_that_nobody_guesses() {
    let service = Service::start(Stage::sqlite().await, &[("AUTH_PASSWORD_POLICY", "nist")]).await;
    let (first, second) = ("vellum gravity otter", "otter gravity vellum");
    let bad = [("Sh0rt-one!1234", "must have at least 15"), ("passwordpassword", "common or easily guessed")];
    let register = async |password: &str| {
        let body = json!({"name": "Ann", "email": "ann@example.com", "password": password});
        service.request(Method::POST, "/api/v1/users/register").json(&body).send().await.unwrap()
    };
    for (password, why) in bad {
        let answer = register(password).await;
        assert_eq!(answer.status(), 422);
        let body = answer.text().await.unwrap();
        assert!(body.contains(why) && !body.contains(password), "{body}");
        let failed = fails(&service, password, &["user", "create", "bob", "--password-stdin"]).await;
        assert!(failed.contains(why) && !failed.contains(password), "{failed}");
    }
    assert_eq!(register(first).await.status(), 201);
    let ann = token(&service, "ann@example.com", first).await;
    for (password, status) in bad.map(|(password, _)| (password, 422)).into_iter().chain([(second, 204)]) {
        let body = json!({"current_password": first, "new_password": password});
        let change = service.request(Method::POST, "/api/v1/users/me/password").bearer_auth(&ann).json(&body);
        assert_eq!(change.send().await.unwrap().status(), status);
    }
    token(&service, "ann@example.com", second).await;
}
