//! The API in this process, on either engine, and the people who use it.

use std::net::SocketAddr;

use api::{AccessTokens, App, OwnWrites, Parts, Passwords, SecretKey, Surface};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::{Clock, Executor, ReadModel};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stage::{Play, Stage};

/// A running API with everything behind it.
pub struct TestApp {
    pub stage: Stage,
    pub history: ReadModel,
    pub clock: Clock,
    client: Client,
    address: SocketAddr,
    stop: CancellationToken,
}

const SECRET: &str = "a secret that is good for tests alone";
/// 2026-01-01T00:00:00Z
const BEGINNING: i64 = 1_767_225_600_000_000;
pub const PASSWORD: &str = "Passw0rd!";

impl Play for TestApp {
    async fn on(stage: Stage) -> Self {
        let history = stage.history().await;
        stage.relay();
        let projection = stage.project(&history);
        let clock = Clock::manual(domain::Timestamp::from_micros(BEGINNING));
        let secret = SecretKey::try_from(SECRET.to_owned()).expect("long enough");
        let app = App::new(Parts {
            log: stage.log.clone(),
            bus: stage.bus.clone(),
            executor: Executor::new(stage.log.clone(), clock.clone()),
            history: history.clone(),
            projections: vec![("history", projection)],
            access_tokens: AccessTokens::new(&secret, 900),
            passwords: Passwords::default(),
            own_writes: OwnWrites::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(api::run(app, Surface::All, listener, stop.clone()));
        Self { stage, history, clock, client: Client::new(), address, stop }
    }
}

impl TestApp {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the read models have the whole log.
    pub async fn settle(&self) {
        self.stage.settle(&self.history).await;
    }

    /// Registers somebody and signs them in.
    pub async fn user(&self, name: &str) -> Persona<'_> {
        let email = format!("{name}@example.com");
        let body = json!({"name": name, "email": email, "password": PASSWORD});
        let registered = self.request(Method::POST, "/api/v1/users/register").json(&body).send().await;
        assert_eq!(registered.expect("an answer").status(), 201);
        self.sign_in(&email).await
    }

    pub async fn sign_in(&self, email: &str) -> Persona<'_> {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.request(Method::POST, "/api/v1/users/login").json(&body).send().await.expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        let token = body.get("access_token").and_then(Value::as_str).expect("a token").to_owned();
        Persona { app: self, token }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Somebody who is signed in.
pub struct Persona<'a> {
    app: &'a TestApp,
    pub token: String,
}

impl Persona<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).bearer_auth(&self.token)
    }

    /// Says something, in a new conversation or in one that there is; the answer's body.
    pub async fn say(&self, message: &str, session: Option<&Value>) -> Value {
        let response = self.post(message, session).await;
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    pub async fn post(&self, message: &str, session: Option<&Value>) -> Response {
        let body = json!({"message": message, "session_id": session});
        self.request(Method::POST, "/api/v1/chat").json(&body).send().await.expect("an answer")
    }

    /// The history, or a page of it: `query` begins with `?`.
    pub async fn history(&self, query: &str) -> Value {
        let response = self.request(Method::GET, &format!("/api/v1/chat/history{query}")).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }
}
