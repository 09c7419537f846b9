//! Who may use which route: a row for each, tried with everybody, on both engines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::collections::BTreeMap;

use api::{Access, routes};
use domain::values::{Role, Scope};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::app::SECRET;
use tests::{Persona, TestApp, on_both_engines};

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    All,
    Users(&'static str),
    Admins(&'static str),
}

const TABLE: &[(&str, &str, For)] = &[
    ("GET", "/live", For::All),
    ("GET", "/ready", For::All),
    ("GET", "/api/v1/health", For::All),
    ("GET", "/openapi.json", For::All),
    ("GET", "/docs", For::All),
    ("GET", "/docs/{file}", For::All),
    ("GET", "/redoc", For::All),
    ("GET", "/redoc/{file}", For::All),
    // It looks at the login itself.
    ("GET", "/metrics", For::All),
    ("GET", "/.well-known/jwks.json", For::All),
    ("POST", "/api/v1/users/register", For::All),
    ("POST", "/api/v1/users/login", For::All),
    // These look at the refresh token themselves.
    ("POST", "/api/v1/users/refresh-token", For::All),
    ("POST", "/api/v1/users/logout", For::All),
    ("POST", "/api/v1/users/logout-all", For::All),
    ("GET", "/api/v1/users/me", For::Users("account")),
    ("PATCH", "/api/v1/users/me", For::Users("account")),
    ("POST", "/api/v1/users/me/password", For::Users("account")),
    ("GET", "/api/v1/users/me/sign-ins", For::Users("account")),
    ("DELETE", "/api/v1/users/me/sign-ins/{id}", For::Users("account")),
    ("GET", "/api/v1/keys", For::Users("keys")),
    ("POST", "/api/v1/keys", For::Users("keys")),
    ("DELETE", "/api/v1/keys/{id}", For::Users("keys")),
    ("POST", "/api/v1/keys/{id}/rotate", For::Users("keys")),
    ("GET", "/api/v1/audit/tokens", For::Users("audit")),
    ("GET", "/api/v1/users/{user}", For::Admins("admin")),
    ("POST", "/api/v1/users/{user}/disable", For::Admins("admin")),
    ("POST", "/api/v1/users/{user}/enable", For::Admins("admin")),
    ("PUT", "/api/v1/users/{user}/roles/{role}", For::Admins("admin")),
    ("DELETE", "/api/v1/users/{user}/roles/{role}", For::Admins("admin")),
    ("POST", "/api/v1/chat", For::Users("chat:write")),
    ("POST", "/api/v1/chat/stream", For::Users("chat:write")),
    ("GET", "/api/v1/chat/ws", For::Users("chat:write")),
    ("POST", "/api/v1/chat/ws-ticket", For::Users("chat:write")),
    ("POST", "/api/v1/chat/background", For::Users("chat:write")),
    ("GET", "/api/v1/chat/tasks", For::Users("chat:read")),
    ("GET", "/api/v1/chat/tasks/{id}", For::Users("chat:read")),
    ("POST", "/api/v1/chat/tasks/{id}/cancel", For::Users("chat:write")),
    ("POST", "/api/v1/chat/tasks/{id}/retry", For::Users("chat:write")),
    ("GET", "/api/v1/sessions", For::Users("chat:read")),
    ("POST", "/api/v1/sessions", For::Users("chat:write")),
    ("GET", "/api/v1/sessions/{id}", For::Users("chat:read")),
    ("PATCH", "/api/v1/sessions/{id}", For::Users("chat:write")),
    ("DELETE", "/api/v1/sessions/{id}", For::Users("chat:write")),
    ("GET", "/api/v1/sessions/{id}/messages", For::Users("chat:read")),
    ("POST", "/api/v1/sessions/{id}/messages", For::Users("chat:write")),
    ("GET", "/api/v1/sessions/{id}/export", For::Users("chat:read")),
    ("GET", "/api/v1/export", For::Users("chat:read")),
    ("POST", "/api/v1/import", For::Users("chat:write")),
    ("PUT", "/api/v1/sessions/{id}/branch", For::Users("chat:write")),
    ("POST", "/api/v1/search", For::Users("chat:read")),
    ("GET", "/api/v1/messages/{id}", For::Users("chat:read")),
    ("DELETE", "/api/v1/messages/{id}", For::Users("chat:write")),
    ("POST", "/api/v1/messages/{id}/edit", For::Users("chat:write")),
    ("POST", "/api/v1/messages/{id}/regenerate", For::Users("chat:write")),
    ("PUT", "/api/v1/messages/{id}/rating", For::Users("chat:write")),
    ("PUT", "/api/v1/messages/{id}/embedding", For::Users("chat:write")),
    ("GET", "/api/v1/messages/{id}/attachments", For::Users("chat:read")),
    ("POST", "/api/v1/messages/{id}/attachments", For::Users("chat:write")),
    ("GET", "/api/v1/attachments/{id}", For::Users("chat:read")),
    ("DELETE", "/api/v1/attachments/{id}", For::Users("chat:write")),
    ("GET", "/api/v1/messages/{id}/stream", For::Users("chat:read")),
    ("POST", "/api/v1/messages/{id}/stop", For::Users("chat:write")),
    ("GET", "/api/v1/models", For::Users("chat:read")),
    ("GET", "/api/v1/chat/rate-limit", For::Users("chat:read")),
    ("GET", "/api/v1/chat/history", For::Users("chat:read")),
    ("DELETE", "/api/v1/chat/history", For::Users("chat:write")),
    ("GET", "/api/v1/usage", For::Users("chat:read")),
    ("GET", "/api/v1/usage/limits", For::Users("chat:read")),
    ("GET", "/health", For::All),
    ("GET", "/healthz", For::All),
    ("GET", "/", For::All),
    ("POST", "/register", For::All),
    ("POST", "/token", For::All),
    ("GET", "/users/me", For::Users("account")),
    ("GET", "/protected", For::Users("account")),
    ("POST", "/chat", For::Users("chat:write")),
    ("GET", "/chat/history", For::Users("chat:read")),
    ("DELETE", "/chat/history", For::Users("chat:write")),
    ("GET", "/chat/rate-limit", For::Users("chat:read")),
    ("POST", "/api/auth/register", For::All),
    ("POST", "/api/auth/login", For::All),
    ("GET", "/api/users/me", For::Users("account")),
    ("POST", "/api/chat", For::Users("chat:write")),
    ("POST", "/api/chat/stream", For::Users("chat:write")),
    ("GET", "/api/chat/ws", For::Users("chat:write")),
    ("GET", "/api/history", For::Users("chat:read")),
    ("POST", "/auth/register", For::All),
    ("POST", "/auth/login", For::All),
    ("POST", "/chat/background", For::Users("chat:write")),
    ("GET", "/chat/tasks/{id}", For::Users("chat:read")),
    ("GET", "/conversations", For::Users("chat:read")),
    ("POST", "/v1/chat/completions", For::Users("chat:write")),
    ("POST", "/v1/embeddings", For::Users("chat:write")),
    ("GET", "/v1/models", For::Users("chat:read")),
    ("GET", "/v1/models/{*id}", For::Users("chat:read")),
];

/// Somebody with some proof of who they are.
struct Somebody {
    name: String,
    header: Option<(&'static str, String)>,
    role: Option<Role>,
    /// For a key: what it may do.
    scope: Option<&'static str>,
}

impl Somebody {
    fn ask(&self, app: &TestApp, method: &str, path: &str) -> RequestBuilder {
        let path = path
            .replace("{*id}", "{id}")
            .replace("{id}", "none")
            .replace("{user}", "nobody")
            .replace("{role}", "auditor");
        let request = app.request(method.parse().unwrap(), &path);
        match &self.header {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    /// 401, 403, or neither.
    fn expected(&self, of: For) -> Option<u16> {
        match (of, &self.header) {
            (For::All, _) => None,
            (_, None) => Some(401),
            (For::Users(scope) | For::Admins(scope), _) if self.scope.is_some_and(|had| had != scope) => Some(403),
            (For::Users(_), _) => None,
            (For::Admins(_), _) if self.role == Some(Role::Admin) => None,
            (For::Admins(_), _) => Some(403),
        }
    }
}

async fn key(of: &Persona<'_>, scope: &str) -> String {
    let body = json!({"name": scope, "scopes": [scope]});
    let answer = of.request(Method::POST, "/api/v1/keys").json(&body).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned()
}

async fn everybody(app: &TestApp) -> Vec<Somebody> {
    let nobody = Somebody { name: "nobody".to_owned(), header: None, role: None, scope: None };
    let mut all = vec![nobody];
    for (name, role) in [("user", None), ("auditor", Some(Role::Auditor)), ("admin", Some(Role::Admin))] {
        let persona = match role {
            None => app.user(name).await,
            Some(role) => app.user_with(name, role).await,
        };
        let header = Some(("authorization", format!("Bearer {}", persona.token)));
        all.push(Somebody { name: name.to_owned(), header, role, scope: None });
        for scope in Scope::ALL {
            let header = Some(("x-api-key", key(&persona, scope.as_str()).await));
            all.push(Somebody { name: format!("{name}'s key for {scope}"), header, role, scope: Some(scope.as_str()) });
        }
    }
    all
}

#[test]
fn every_route_has_its_row_and_asks_for_what_the_row_says() {
    let said = |access: Access| match access {
        Access::Public => "all".to_owned(),
        Access::User(scope) => format!("users {scope}"),
        Access::Role(role, scope) => format!("{role} {scope}"),
    };
    let routes: BTreeMap<_, _> =
        routes().into_iter().map(|(method, path, access)| ((path, method.to_string()), said(access))).collect();
    let row = |of: For| match of {
        For::All => "all".to_owned(),
        For::Users(scope) => format!("users {scope}"),
        For::Admins(scope) => format!("admin {scope}"),
    };
    let table: BTreeMap<_, _> =
        TABLE.iter().map(|(method, path, of)| ((*path, (*method).to_owned()), row(*of))).collect();
    assert_eq!(routes, table, "the router (left) and the table (right) differ");
}

on_both_engines! {
    async fn everybody_gets_what_is_theirs_and_nothing_else(app: TestApp) {
        for somebody in everybody(&app).await {
            // Whoever may ask without any proof is asked once: with one, they would be signed out everywhere, say.
            for (method, path, of) in TABLE.iter().filter(|(_, _, of)| *of != For::All || somebody.header.is_none()) {
                let answer = somebody.ask(&app, method, path).send().await.unwrap();
                let (status, expected) = (answer.status().as_u16(), somebody.expected(*of));
                let who = &somebody.name;
                match expected {
                    Some(refusal) => assert_eq!(status, refusal, "{method} {path} for {who}"),
                    None if *of == For::All => assert!(status < 500 && status != 403, "{method} {path} for {who}: {status}"),
                    None => assert!(status < 500 && ![401, 403].contains(&status), "{method} {path} for {who}: {status}"),
                }
            }
        }
    }

    // Everything that is no access token, in the place of one, and the other way round.
    async fn one_proof_is_never_taken_for_another(app: TestApp) {
        let ann = app.user("ann").await;
        let key = key(&ann, "account").await;
        let of_other = "cak_0000000000000000000000000000002a_secret";
        let swapped = format!("{key}x");
        let bad = [
            ("authorization", format!("Bearer {}", ann.refresh_token)),
            ("authorization", format!("Bearer {}x", ann.token)),
            ("authorization", format!("Basic {}", ann.token)),
            ("authorization", ann.token.clone()),
            ("authorization", "Bearer".to_owned()),
            ("authorization", format!("Bearer {key}")),
            ("x-api-key", ann.token.clone()),
            ("x-api-key", ann.refresh_token.clone()),
            ("x-api-key", of_other.to_owned()),
            ("x-api-key", swapped),
            ("x-api-key", String::new()),
            ("x-refresh-token", ann.refresh_token.clone()),
            ("cookie", format!("refresh_token={}", ann.refresh_token)),
        ];
        for (header, value) in bad {
            let answer = app.request(Method::GET, "/api/v1/users/me").header(header, &value).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{header}: {value}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        }
        for token in [&ann.token, &key] {
            assert_eq!(app.refresh(token).await.status(), 401);
        }
        let in_url = app.request(Method::GET, &format!("/api/v1/users/me?api_key={key}&token={}", ann.token));
        assert_eq!(in_url.send().await.unwrap().status(), 401, "no secret in a URL");
        assert!(ann.is_in().await);
    }

    // What a forger can make of a good token, or who has the secret of it would.
    async fn a_forged_token_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let header = jsonwebtoken::decode_header(&ann.token).unwrap();
        let (kid, good) = (header.kid.unwrap(), claims(&ann.token));
        assert_eq!(app.status_with(&forge(Algorithm::HS256, &kid, &good, SECRET)).await, 200, "the forger knows how");
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            forge(Algorithm::HS256, &kid, &claims, SECRET)
        };
        let now = good["iat"].as_i64().unwrap();
        let bad = [
            ("tampered with", tampered(&ann.token)),
            ("unsigned", unsigned(&kid, &good)),
            ("of another key", forge(Algorithm::HS256, "other", &good, SECRET)),
            ("of another secret", forge(Algorithm::HS256, &kid, &good, "another secret that is good for tests alone")),
            ("of another algorithm", forge(Algorithm::HS512, &kid, &good, SECRET)),
            ("expired", with("exp", json!(now - 60))),
            ("not yet valid", with("nbf", json!(now + 60))),
            ("of the future", with("iat", json!(now + 60))),
            ("for another audience", with("aud", json!("elsewhere"))),
            ("from another issuer", with("iss", json!("elsewhere"))),
            ("for nobody", with("sub", Value::Null)),
        ];
        for (what, token) in bad {
            assert_eq!(app.status_with(&token).await, 401, "{what}");
        }
        assert!(ann.is_in().await);
    }
}

fn forge(algorithm: Algorithm, kid: &str, claims: &Value, secret: &str) -> String {
    let header = Header { typ: Some("at+jwt".to_owned()), kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// What a token says, whether it is true or not.
fn claims(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims
}

/// The claims changed, the signature left.
fn tampered(token: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let other = forge(Algorithm::HS256, "any", &json!({"sub": "somebody"}), "any");
    format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
}

/// `alg: none`, in the words of its inventors.
fn unsigned(kid: &str, claims: &Value) -> String {
    let signed = forge(Algorithm::HS256, kid, claims, "any");
    let body = signed.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"at+jwt"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{body}.")
}
