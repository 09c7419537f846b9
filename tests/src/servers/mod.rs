//! Real servers for tests, from the tools that `tests/install-tools.sh` installs.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::TcpSocket;

mod nats;
mod nginx;
mod postgres;
pub mod s3;

pub use nats::Nats;
pub use nginx::Nginx;
pub use postgres::Postgres;
pub use s3::S3;

/// A loopback port that stays this test's own, also while its server is down: bound for the test's whole life, but never
/// listening. Linux lets a server that sets `SO_REUSEADDR` (Postgres, NATS and tokio do) listen there beside it, gives
/// the port to no one who asks for any free one, and refuses who connects before the server listens.
pub struct Port {
    number: u16,
    _held: TcpSocket,
}

impl Port {
    pub fn reserve() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        held.set_reuseaddr(true).expect("SO_REUSEADDR");
        held.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port on loopback");
        let number = held.local_addr().expect("the port that was bound").port();
        Self { number, _held: held }
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:<number>`.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

/// A directory for this test alone, which goes away when it is dropped.
pub(crate) fn scratch(what: &str) -> TempDir {
    let prefix = format!("colloquy-{what}-");
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a directory for temporary files")
}

/// What `PYTHONPATH` needs for OpenAI's own client.
#[must_use]
pub fn openai_for_python() -> PathBuf {
    tool("openai-python")
}

/// The folder from which Node.js finds OpenAI's own client.
#[must_use]
pub fn openai_for_node() -> PathBuf {
    tool("openai-node")
}

/// An installed tool, by its path in the tools' directory.
pub(crate) fn tool(path: &str) -> PathBuf {
    let tools = env::var_os("COLLOQUY_TOOLS")
        .map_or_else(|| format!("/var/tmp/colloquy-tools-{}", user()).into(), PathBuf::from);
    let tool = tools.join(path);
    assert!(tool.exists(), "{} is not there: run tests/install-tools.sh (make tools)", tool.display());
    tool
}

/// The uid that this test runs under.
fn user() -> u32 {
    fs::metadata("/proc/self").expect("/proc, for servers run on Linux").uid()
}
