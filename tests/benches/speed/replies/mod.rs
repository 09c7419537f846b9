//! What it takes to carry a provider's words to those who listen: a fake provider, a node that asks it, and the same
//! clients at either.

mod client;
pub mod first_token;
pub mod proc;
pub mod streams;

use std::net::SocketAddr;
use std::process::{Command, id};
use std::sync::Arc;

use serde_json::json;
use tests::{Colloquy, FakeProvider, Nats, Postgres};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::{Connection, Request};
use crate::load;
use crate::site::{Engine, PASSWORD, Site, User};

/// How many files the benchmark and its nodes may have open, wherever the shell allows fewer.
const FILES: usize = 12_000;

/// A fake provider on a thread of its own.
struct Provider {
    fake: Arc<FakeProvider>,
    _stop: DropGuard,
}

impl Provider {
    async fn start() -> Self {
        let (stop, (sender, started)) = (CancellationToken::new(), oneshot::channel());
        let stopped = stop.clone();
        tokio::spawn(load::on_one_thread(move || async move {
            let fake = Arc::new(FakeProvider::start().await);
            // Nobody waits for it only when the benchmark is about to end.
            drop(sender.send(Arc::clone(&fake)));
            stopped.cancelled().await;
        }));
        Self { fake: started.await.expect("a provider"), _stop: stop.drop_guard() }
    }

    fn address(&self) -> SocketAddr {
        let url = self.fake.openai_url();
        let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1/"));
        address.and_then(|address| address.parse().ok()).expect("an address")
    }
}

/// A node that asks a provider, logs no requests and limits nobody. Fields go in order: the node before its servers.
struct House {
    node: Colloquy,
    _servers: Option<(Postgres, Nats)>,
}

impl House {
    async fn start(engine: Engine, provider: &Provider) -> Self {
        raise_files();
        let builder = Colloquy::builder().unlimited().env("COLLOQUY_LOG", "warn,colloquy::serve=info");
        let builder = builder.env("AI_SERVICES__MINE_BASE_URL", provider.fake.openai_url());
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

    fn address(&self) -> SocketAddr {
        self.node.address()
    }

    fn process(&mut self) -> u32 {
        self.node.child().id()
    }

    async fn sign_up(&self, name: &str) -> User {
        let mut connection = Connection::open(self.address()).await;
        let who = json!({"name": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        connection.ask(&Request::post("/api/v1/users/register", None, &who)).await;
        User::of(&connection.json(&Site::login(name)).await)
    }
}

/// Thousands of sockets are more than many a shell allows; what is started from here inherits the limit.
fn raise_files() {
    let (id, files) = (id().to_string(), format!("--nofile={FILES}:"));
    let status = Command::new("prlimit").args(["--pid", &id, &files]).status();
    assert!(status.expect("util-linux").success(), "the machine must allow a process {FILES} open files");
}
