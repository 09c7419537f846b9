//! What the stories have in common: an engine, nodes that can be killed and started again, and what must hold at the end.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tests::load::PATIENCE;
use tests::{Builder, Colloquy, Nats, People, Port, Postgres};
use tokio::time::{interval, timeout};

use crate::dump::Tables;

/// How many users make a load.
pub const USERS: usize = 12;
const TICK: Duration = Duration::from_millis(20);

/// An engine. Fields go in order: the servers before what they stand on.
pub struct House {
    servers: Option<(Postgres, Nats)>,
    pub tables: Tables,
    database: Option<String>,
    folder: TempDir,
}

/// One node, always on the same port.
pub struct Node {
    running: Option<Colloquy>,
    pub builder: Builder,
    port: Port,
}

impl House {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tables = Tables::Sqlite(folder.path().to_owned());
        Self { servers: None, tables, database: None, folder }
    }

    pub async fn postgres_nats() -> Self {
        let servers = tokio::join!(Postgres::start(), Nats::start());
        let database = servers.0.database().await;
        let folder = tempfile::tempdir().expect("a folder");
        Self { servers: Some(servers), tables: Tables::Postgres(database.clone()), database: Some(database), folder }
    }

    pub fn postgres(&mut self) -> &mut Postgres {
        &mut self.servers.as_mut().expect("a house with servers").0
    }

    pub fn nats(&mut self) -> &mut Nats {
        &mut self.servers.as_mut().expect("a house with servers").1
    }

    /// The address of Postgres' database.
    pub fn database(&self) -> &str {
        self.database.as_deref().expect("a house with servers")
    }

    pub fn postgres_address(&self) -> SocketAddr {
        let (_, rest) = self.database().split_once('@').expect("an address with a user");
        rest.split('/').next().and_then(|address| address.parse().ok()).expect("a server's address")
    }

    /// The address of the database for who comes to it by another way.
    pub fn database_at(&self, address: SocketAddr) -> String {
        self.database().replace(&self.postgres_address().to_string(), &address.to_string())
    }

    /// A node that is not started yet.
    pub fn place(&self) -> Node {
        let port = Port::reserve();
        let mut builder = Colloquy::builder().unlimited().data_dir(self.folder.path());
        builder = builder.env("COLLOQUY_LISTEN", port.address().to_string()).env("SECRET_KEY", "s".repeat(40));
        if let (Some(database), Some((_, nats))) = (&self.database, &self.servers) {
            builder = builder.env("DATABASE_URL", database).env("NATS_URL", nats.url());
        }
        Node { running: None, builder, port }
    }

    pub async fn node(&self) -> Node {
        let mut node = self.place();
        node.start().await;
        node
    }

    /// What must hold whatever has happened: whoever was acknowledged finds it, once and in order; and the read model that
    /// lived through all of it is the one that the log gives anew.
    pub async fn verify(&self, people: &People, node: &mut Node) {
        assert!(people.acknowledged() > 0, "nothing has happened");
        node.caught_up().await;
        people.check(&node.url()).await;
        let lived = self.tables.dump().await;
        let messages = lived.iter().filter(|row| row.starts_with("messages ")).count();
        assert!(messages >= 2 * people.acknowledged(), "{messages} rows for {} posts", people.acknowledged());

        let rebuilt = node.builder.run(["rebuild", "history"]).await;
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        Tables::compare(&lived, &self.tables.dump().await);
        people.check(&node.url()).await;
        // Whatever is still there of older copies goes with the next start.
        node.kill().await;
        node.start().await;
        assert_eq!(self.tables.beside(&self.tables.live()).await, [""; 0], "copies are left");
    }
}

impl Node {
    /// Starts it, for the first time or again after it has ended.
    pub async fn start(&mut self) {
        self.running = Some(self.builder.start().await);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    pub fn process(&mut self) -> &mut Colloquy {
        self.running.as_mut().expect("a node that was started")
    }

    pub async fn kill(&mut self) {
        self.process().kill().await;
        self.has_found_no_fault_of_its_own();
    }

    /// Servers that are away are warned of. An error would be the program's own: a request that failed, a read model that
    /// is stuck.
    pub fn has_found_no_fault_of_its_own(&mut self) {
        let logs = self.process().logs();
        let errors: Vec<_> = logs.lines().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
        assert_eq!(errors, [""; 0], "{} has said so", self.port.address());
    }

    /// What `/ready` says.
    pub async fn ready(&self) -> (StatusCode, Value) {
        let answer = reqwest::get(format!("{}/ready", self.url())).await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// Waits until `/ready` is so, and gives what it says.
    pub async fn until_ready_is(&self, what: &str, wanted: impl Fn(StatusCode, &Value) -> bool) -> Value {
        eventually(what, async || {
            let (status, body) = self.ready().await;
            wanted(status, &body).then_some(body)
        })
        .await
    }

    /// Waits until it is well: nothing is degraded.
    pub async fn well(&self) -> Value {
        self.until_ready_is("a node that is well", |status, body| {
            status.is_success() && body["degraded"].as_array().is_some_and(Vec::is_empty)
        })
        .await
    }

    /// Waits until the read models have the whole log, and gives the log's head.
    pub async fn caught_up(&self) -> u64 {
        let caught_up = |body: &Value| projections(body).iter().all(|it| it["lag"] == 0);
        let ready = self.until_ready_is("a lag of 0", |_, body| caught_up(body)).await;
        ready["head"].as_u64().expect("the log's head")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let (true, Some(node)) = (std::thread::panicking(), &self.running) {
            let logs = node.logs();
            let notable: Vec<_> = logs.lines().filter(|line| !line.contains("answered")).collect();
            eprintln!("{} said last:", self.port.address());
            notable.iter().rev().take(40).rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// How each read model fares, as `/ready` says it.
pub fn projections(ready: &Value) -> &[Value] {
    ready["projections"].as_array().expect("a list of the read models")
}

/// Looks again and again, until there is what is looked for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(TICK);
    let found = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what} has not come in {PATIENCE:?}"))
}
