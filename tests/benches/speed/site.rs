//! The real binary on either engine, and the people who use it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use store::{Db, Durability, PostgresDb, SqliteFile};
use tempfile::TempDir;
use tests::{Builder, Colloquy, Nats, Postgres};
use tokio::time::sleep;

use crate::cores::Cores;
use crate::http::{Connection, Request};
use crate::report::Limit;

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
    /// What the node was started with, and is started with again.
    builder: Builder,
    database: Option<String>,
    _servers: Option<(Postgres, Nats)>,
    folder: TempDir,
    name: &'static str,
    shares_cores: bool,
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

    /// One that limits everybody, and everything, at one rate.
    pub async fn limited(engine: Engine, [all, user]: [&str; 2]) -> Self {
        let limits = [("RATE_LIMIT_SERVICE", all), ("RATE_LIMIT_USER", user), ("RATE_LIMIT_IP", all)];
        Self::start_as(engine, limits.into_iter().fold(quiet(), |it, (limit, rate)| it.env(limit, rate))).await
    }

    /// One whose access tokens are signed in this way.
    pub async fn signing(algorithm: &str) -> Self {
        Self::start_as(Engine::Sqlite, quiet().env("ALGORITHM", algorithm)).await
    }

    /// On Postgres and NATS, which keep to cores of their own; the node keeps to others, or works wherever it finds time.
    pub async fn apart(servers: Cores, node: Cores) -> Self {
        let servers = servers.host(async { (Postgres::start().await, Nats::start().await) }).await;
        let site = node.host(Self::beside(servers, quiet())).await;
        Self { name: "Postgres + NATS on a core of their own", shares_cores: false, ..site }
    }

    async fn start_as(engine: Engine, builder: Builder) -> Self {
        match engine {
            Engine::Sqlite => Self::with(builder, None, None).await,
            Engine::PostgresNats => Self::beside((Postgres::start().await, Nats::start().await), builder).await,
        }
    }

    async fn beside(servers: (Postgres, Nats), builder: Builder) -> Self {
        let (postgres, nats) = &servers;
        let database = postgres.database().await;
        let builder = builder.env("DATABASE_URL", &database).env("NATS_URL", nats.url());
        let builder = builder.env("SECRET_KEY", "a secret that is good for benchmarks");
        Self::with(builder, Some(database), Some(servers)).await
    }

    async fn with(builder: Builder, database: Option<String>, servers: Option<(Postgres, Nats)>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let builder = builder.data_dir(folder.path());
        let node = builder.start().await;
        let engine = if servers.is_some() { Engine::PostgresNats } else { Engine::Sqlite };
        Self {
            node,
            builder,
            database,
            shares_cores: servers.is_some(),
            _servers: servers,
            folder,
            name: engine.name(),
        }
    }

    /// Has something done to the database while the node is down.
    pub async fn paused<T>(&mut self, work: impl AsyncFnOnce(Db) -> T) -> T {
        assert!(self.node.terminate().await.success(), "the node ends in order");
        let file = self.folder.path().join("log.db");
        let alone = || Db::Sqlite(SqliteFile::open(&file, Durability::Full).expect("the log's file"));
        let db = self.database.as_deref().map_or_else(alone, open_postgres);
        let done = work(db.clone()).await;
        db.close().await;
        self.node = self.builder.start().await;
        done
    }

    /// Asks once, for the whole answer.
    pub async fn whole(&self, request: &Request) -> Value {
        Connection::open(self.address()).await.json(request).await
    }

    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What is bound, and what is only aimed at: servers that work on the node's cores, as they seldom do elsewhere, take
    /// from it what is measured.
    pub const fn limits(&self, limit: Limit) -> (Option<Limit>, Option<Limit>) {
        if self.shares_cores { (None, Some(limit)) } else { (Some(limit), None) }
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
    Colloquy::builder().unlimited().env("COLLOQUY_LOG", "warn,colloquy::serve=info")
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
