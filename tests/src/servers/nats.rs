//! A real nats-server with JetStream, which can be killed, robbed of its storage and started again.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Port, scratch, tool};
use crate::child::{Child, bound_to_thread};

/// A server of this test's own. Fields go in order: the server before its directory.
pub struct Nats {
    server: Child,
    port: Port,
    storage: TempDir,
}

impl Nats {
    pub async fn start() -> Self {
        let (port, storage) = (Port::reserve(), scratch("nats"));
        let server = serve(&port, storage.path()).await;
        Self { server, port, storage }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.port.address())
    }

    /// The server's own log.
    pub fn logs(&self) -> String {
        self.server.logs()
    }

    /// SIGKILL, and waits until it is gone. What JetStream holds stays in its directory.
    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// Starts it again after a kill, on the same port and storage.
    pub async fn restart(&mut self) {
        assert!(!self.server.is_running(), "nats-server is still running: kill it before you restart it");
        self.server = serve(&self.port, self.storage.path()).await;
    }

    /// Deletes all that JetStream holds; only while it is down.
    pub fn wipe(&mut self) {
        assert!(!self.server.is_running(), "nats-server is still running: kill it before you wipe it");
        let streams = self.storage.path().join("jetstream");
        fs::remove_dir_all(&streams).unwrap_or_else(|error| panic!("{} stays: {error}", streams.display()));
    }
}

async fn serve(port: &Port, storage: &Path) -> Child {
    let mut command = bound_to_thread("KILL");
    command.arg("--").arg(tool("nats-server")).args(["--addr", "127.0.0.1", "--port", &port.number().to_string()]);
    command.arg("--jetstream").arg("--store_dir").arg(storage);
    let mut server = Child::spawn("nats-server", command);
    server.until("Server is ready").await;
    server
}
