//! The real binary as a child: a node that serves, or one subcommand.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::timeout;

use crate::child::{Child, PATIENCE, bound_to_thread};
use crate::servers::{scratch, tool};

/// What the binary says once it answers; its address follows.
const LISTENING: &str = "listening on http://";

/// A node of the program that serves.
pub struct Colloquy {
    child: Child,
    address: SocketAddr,
    _home: Arc<TempDir>,
}

/// What a node, or a subcommand, is to be started with. One builder can start it again and again, with the same data.
#[derive(Clone)]
pub struct Builder {
    binary: Option<PathBuf>,
    env: BTreeMap<OsString, OsString>,
    home: Arc<TempDir>,
}

impl Colloquy {
    /// Nothing set but a port that is free and a data directory that goes away with the last of builder and nodes.
    pub fn builder() -> Builder {
        let home = Arc::new(scratch("node"));
        let builder = Builder { binary: None, env: BTreeMap::new(), home };
        let data = builder.home.path().join("data");
        builder.env("COLLOQUY_LISTEN", "127.0.0.1:0").data_dir(data)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, with no slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The child itself: signals, words to wait for.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Everything it has said so far.
    pub fn logs(&self) -> String {
        self.child.logs()
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await;
    }

    /// SIGTERM, and waits until it has ended in order.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.child.terminate().await
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        self.child.wait().await
    }
}

impl Builder {
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Nobody has to come again later.
    #[must_use]
    pub fn unlimited(self) -> Self {
        ["SERVICE", "USER", "IP", "SIGN_IN"]
            .into_iter()
            .fold(self, |it, limit| it.env(format!("RATE_LIMIT_{limit}"), "off"))
    }

    #[must_use]
    pub fn data_dir(self, path: impl AsRef<Path>) -> Self {
        self.env("COLLOQUY_DATA", path.as_ref())
    }

    /// Its clock is ahead by so many seconds, or behind; how long things take is the same.
    #[must_use]
    pub fn clock_ahead(self, seconds: i64) -> Self {
        let faked = self.env("LD_PRELOAD", tool("libfaketime.so.1")).env("FAKETIME", format!("{seconds:+}s"));
        faked.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1")
    }

    /// A file in the directory where it starts.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.home.path().join(name), text).expect("a directory of its own");
        self
    }

    /// Another program in the binary's place: an older release, say.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Starts a node and waits until it listens.
    pub async fn start(&self) -> Colloquy {
        let mut child = self.spawn(["serve"]);
        let line = child.until(LISTENING).await;
        let address = address_in(&line).unwrap_or_else(|| panic!("no address after {LISTENING:?} in: {line}"));
        Colloquy { child, address, _home: Arc::clone(&self.home) }
    }

    /// Starts a subcommand and leaves it running, to be waited for, or killed at a moment: `until(words)`, `kill()`.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        Child::spawn("colloquy", self.command(args))
    }

    /// Runs a subcommand to its end.
    pub async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run_from(Stdio::null(), args).await
    }

    /// Runs a subcommand to its end, with a line on its standard input.
    pub async fn run_told<A: AsRef<OsStr>>(&self, line: &str, args: impl IntoIterator<Item = A>) -> Output {
        let (reader, mut writer) = io::pipe().expect("a pipe for a child's input");
        // A line fits into the pipe, whether anybody reads it or not.
        writeln!(writer, "{line}").expect("an open pipe");
        drop(writer);
        self.run_from(reader.into(), args).await
    }

    async fn run_from<A: AsRef<OsStr>>(&self, input: Stdio, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = tokio::process::Command::from(self.command(args));
        let output = timeout(PATIENCE, command.stdin(input).kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{command:?} has not ended in {PATIENCE:?}"));
        output.unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"))
    }

    /// Its own empty directory is the working directory, so that no `.env` of the developer's gets in.
    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = bound_to_thread("KILL");
        command.arg("--").arg(self.binary.clone().unwrap_or_else(built_binary)).args(args);
        command.current_dir(self.home.path()).env_clear();
        command.envs(["PATH", "HOME"].into_iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.envs(&self.env);
        command
    }
}

/// `COLLOQUY_BIN`, or the one that was built beside this test: `target/<profile>/deps/test` → `target/<profile>/colloquy`.
pub fn built_binary() -> PathBuf {
    if let Some(path) = env::var_os("COLLOQUY_BIN") {
        return path.into();
    }
    let test = env::current_exe().expect("the path of the running test");
    let path = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps").join("colloquy");
    assert!(path.exists(), "{} is not there: run cargo build -p colloquy, or set COLLOQUY_BIN", path.display());
    path
}

/// The address ends where a log's decoration begins: a space, a quote, a colour.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(LISTENING)?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}
