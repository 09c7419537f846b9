//! A real Postgres with pgvector, which can crash and start again with what it had made durable.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::{Port, scratch, tool, user};
use crate::child::{Child, bound_to_thread, signal};

/// The uid and gid that run Postgres for root, as it refuses to be root; the installer's template is theirs.
const NOBODY: u32 = 65534;

/// Everything else, durability first, is as Postgres itself has it. `mmap` keeps shared memory in the data directory,
/// which goes away with the test, where a crash would otherwise leave it in /dev/shm.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "shared_buffers=64MB",
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
];

/// A server of this test's own. Fields go in order: the server before its directory.
pub struct Postgres {
    server: Child,
    port: Port,
    home: TempDir,
    databases: AtomicU32,
}

impl Postgres {
    pub async fn start() -> Self {
        let (port, home) = (Port::reserve(), scratch("postgres"));
        copy_template(home.path());
        let server = serve(&port, home.path()).await;
        Self { server, port, home, databases: AtomicU32::new(0) }
    }

    /// Makes an empty database and gives its URL.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&self.port).await;
        let made = admin.execute(format!("create database {name}").as_str()).await;
        made.unwrap_or_else(|error| panic!("no new database: {error}\n{}", self.logs()));
        url(&self.port, &name)
    }

    /// The same for a role that owns it and may do all there but make extensions, as on many rented servers.
    pub async fn database_of_a_tenant(&self) -> String {
        let url = self.database().await;
        let name = url.rsplit('/').next().unwrap_or_default();
        let mut admin = connect(&self.port).await;
        let sql = format!("create role tenant_of_{name} login; alter database {name} owner to tenant_of_{name}");
        let made = admin.execute(sql.as_str()).await;
        made.unwrap_or_else(|error| panic!("no tenant: {error}\n{}", self.logs()));
        url.replace("postgres@", &format!("tenant_of_{name}@"))
    }

    /// The server's own log.
    pub fn logs(&self) -> String {
        self.server.logs()
    }

    /// A crash, and waits until nothing of the server is left.
    ///
    /// SIGKILL for all of its processes at once, for that is what a machine that dies looks like from outside. SIGKILL
    /// for the postmaster alone would let the others finish what they are at, and SIGQUIT would let them take leave of
    /// their clients. They are in no common process group, so the postmaster is first stopped, lest it make new ones.
    /// What was written but not synced survives, as the operating system does.
    pub async fn kill(&mut self) {
        self.end_children();
        self.server.kill().await;
        clear_crash(&data(self.home.path()));
    }

    fn end_children(&mut self) {
        self.server.signal("STOP");
        signal("KILL", &children(self.server.id()));
    }

    /// Starts it again after a kill, on the same port and data.
    pub async fn restart(&mut self) {
        assert!(!self.server.is_running(), "Postgres is still running: kill it before you restart it");
        self.server = serve(&self.port, self.home.path()).await;
    }
}

impl Drop for Postgres {
    /// A crash, too: a shutdown would wait for clients that have connected and, as this thread is here, say no word.
    fn drop(&mut self) {
        if self.server.is_running() {
            self.end_children();
            self.server.signal("KILL");
            self.server.reap();
            clear_crash(&data(self.home.path()));
        }
    }
}

fn data(home: &Path) -> PathBuf {
    home.join("data")
}

fn url(port: &Port, database: &str) -> String {
    format!("postgres://postgres@{}/{database}", port.address())
}

async fn connect(port: &Port) -> PgConnection {
    let url = url(port, "postgres");
    PgConnection::connect(&url).await.unwrap_or_else(|error| panic!("no connection to {url}: {error}"))
}

fn copy_template(home: &Path) {
    if user() == 0 {
        chown(home, Some(NOBODY), Some(NOBODY)).expect("root may give a directory away");
    }
    let template = tool("pgdata-template");
    let copied = Command::new("cp").arg("-a").arg(&template).arg(data(home)).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} could not be copied", template.display());
}

/// Starts the server and waits until it answers. Its death signal is an immediate shutdown: the postmaster then
/// takes its children and its shared memory along.
async fn serve(port: &Port, home: &Path) -> Child {
    let mut command = bound_to_thread("QUIT");
    if user() == 0 {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
    }
    command.arg("--").arg(tool("postgres/bin/postgres")).arg("-D").arg(data(home));
    command.args(["-p", &port.number().to_string()]).args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command.current_dir(home).env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    let mut server = Child::spawn("postgres", command);
    server.until("ready to accept connections").await;
    connect(port).await;
    server
}

/// The processes that the postmaster, now stopped, has made.
fn children(postmaster: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|process| process.parse().ok()).collect()
}

/// Removes what a crash leaves behind and a machine's death would not: the shared memory that its pid file names in its
/// seventh line ("key id"), and that file itself, whose pid may by now be another's.
fn clear_crash(data: &Path) {
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return };
    if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        let _ = Command::new("ipcrm").args(["-m", id]).status();
    }
    fs::remove_file(&file).unwrap_or_else(|error| panic!("{} stays: {error}", file.display()));
}
