//! The real binary on either engine, and the people who use it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use store::{Db, PostgresDb};
use tests::{Builder, Colloquy, Nats, Postgres};
use tokio::time::sleep;

use crate::http::{Connection, Request};

#[derive(Clone, Copy)]
pub enum Engine {
    Sqlite,
    PostgresNats,
}

impl Engine {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::PostgresNats];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::PostgresNats => "Postgres + NATS",
        }
    }
}

/// One node with all roles. Fields go in order: the node before its servers.
pub struct Site {
    node: Colloquy,
    _servers: Option<(Postgres, Nats)>,
}

/// Somebody who is signed in.
pub struct User {
    pub token: String,
    pub refresh_token: String,
}

pub const PASSWORD: &str = "Passw0rd!";
const SETTLE: Duration = Duration::from_millis(5);

impl Site {
    pub async fn start(engine: Engine) -> Self {
        Self::start_as(engine, quiet()).await
    }

    /// One whose access tokens are signed in this way.
    pub async fn signing(algorithm: &str) -> Self {
        Self::start_as(Engine::Sqlite, quiet().env("ALGORITHM", algorithm)).await
    }

    async fn start_as(engine: Engine, builder: Builder) -> Self {
        match engine {
            Engine::Sqlite => Self { node: builder.start().await, _servers: None },
            Engine::PostgresNats => {
                let (postgres, nats) = (Postgres::start().await, Nats::start().await);
                let builder = builder.env("DATABASE_URL", postgres.database().await).env("NATS_URL", nats.url());
                let node = builder.env("SECRET_KEY", "a secret that is good for benchmarks").start().await;
                Self { node, _servers: Some((postgres, nats)) }
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    pub async fn sign_up(&self, name: &str) -> User {
        let mut connection = Connection::open(self.address()).await;
        let email = format!("{name}@example.com");
        let who = json!({"name": name, "email": email, "password": PASSWORD});
        connection.ask(&Request::post("/api/v1/users/register", None, &who)).await;
        User::of(&connection.json(&Self::login(name)).await)
    }

    /// The request that signs somebody in who has signed up.
    pub fn login(name: &str) -> Request {
        let who = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        Request::post("/api/v1/users/login", None, &who)
    }

    /// Waits until every read model has the whole log.
    pub async fn settle(&self) {
        let mut connection = Connection::open(self.address()).await;
        let ready = Request::get("/ready", None);
        while !has_settled(&connection.json(&ready).await) {
            sleep(SETTLE).await;
        }
    }

    /// Begins a conversation with its first message; the request that posts the next one.
    pub async fn converse(&self, user: &User) -> Conversation {
        let mut connection = Connection::open(self.address()).await;
        let answer = connection.json(&user.post(&json!({"message": "hello"}))).await;
        let session = text(&answer, "session_id");
        let message = json!({"message": "What a nice day to measure how long this takes", "session_id": session});
        // As many messages as the short ones have: pages of one size, so that only the conversation's length differs.
        let page = format!("/api/v1/chat/history?session_id={session}&limit=20");
        Conversation { post: user.post(&message), page: Request::get(&page, Some(&user.token)) }
    }
}

/// What is asked of a conversation.
pub struct Conversation {
    pub post: Request,
    pub page: Request,
}

impl User {
    /// Whom the answer to a sign-in, or to a refresh, speaks of.
    pub fn of(tokens: &Value) -> Self {
        Self { token: text(tokens, "access_token"), refresh_token: text(tokens, "refresh_token") }
    }

    fn post(&self, body: &Value) -> Request {
        Request::post("/api/v1/chat", Some(&self.token), body)
    }
}

/// A node that logs no requests, and limits nobody.
fn quiet() -> Builder {
    let limits = ["RATE_LIMIT_SERVICE", "RATE_LIMIT_USER", "RATE_LIMIT_IP", "RATE_LIMIT_SIGN_IN"];
    let builder = Colloquy::builder().env("COLLOQUY_LOG", "warn,colloquy::serve=info");
    limits.into_iter().fold(builder, |builder, limit| builder.env(limit, "off"))
}

fn has_settled(ready: &Value) -> bool {
    let projections = ready.get("projections").and_then(Value::as_array).expect("read models");
    projections.iter().all(|projection| projection.get("lag") == Some(&json!(0)))
}

fn text(answer: &Value, field: &str) -> String {
    answer.get(field).and_then(Value::as_str).expect("a field that is a text").to_owned()
}

/// A database as the binary opens it.
pub fn open_postgres(url: &str) -> Db {
    Db::Postgres(PostgresDb::open(url, projections::SEARCH_PATH).expect("an address"))
}
