//! A child process that does not outlive its test, and whose words and signals a test can wait for and send.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::log::Log;

/// How long a child may take to get ready or to go before the test says so and ends.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running (or ended) child. Dropping it kills it.
pub struct Child {
    name: &'static str,
    process: std::process::Child,
    log: Log,
}

/// The start of a command that gets this signal when the thread that spawns it ends, so that a test that is killed
/// leaves nothing behind. The kernel counts the *thread*, not the process: spawn from the test's own thread (the body of
/// a `#[tokio::test]`), never through `spawn_blocking`, and keep no server in a `static` that several tests share.
pub fn bound_to_thread(signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]);
    command
}

/// Sends a signal through the shell's own `kill`; no separate program of that name need be there.
pub fn signal(name: &str, processes: &[u32]) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"kill -s "$@""#, "sh", name]).args(processes.iter().map(u32::to_string));
    // One of them may just have ended by itself, which is no fault.
    let _ = shell.stderr(Stdio::null()).status();
}

impl Child {
    /// Starts a command, with both of its outputs going into one log.
    pub fn spawn(name: &'static str, mut command: Command) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe for a child's output");
        let writer_too = writer.try_clone().expect("a second end of the pipe");
        command.stdin(Stdio::null()).stdout(writer_too).stderr(writer);
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} could not be started with setpriv (util-linux has it): {error}"));
        Self { name, process, log: Log::drain(reader) }
        // The command ends here, and our copies of the writing end with it: only the child's are left.
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Everything it has said so far, of both outputs.
    pub fn logs(&self) -> String {
        self.log.text()
    }

    /// Waits for the first line with these words and gives it back. The test ends if the child does, or takes too long.
    pub async fn until(&mut self, words: &str) -> String {
        let Ok(line) = timeout(PATIENCE, self.log.line_with(words)).await else {
            panic!("{} has not said {words:?} in {PATIENCE:?}:\n{}", self.name, self.logs());
        };
        line.unwrap_or_else(|| {
            let status = self.reap();
            panic!("{} ended ({status}) before it said {words:?}:\n{}", self.name, self.logs());
        })
    }

    /// Sends a signal by its short name, `STOP` say, unless it has ended already.
    pub fn signal(&mut self, name: &str) {
        if self.is_running() {
            signal(name, &[self.id()]);
        }
    }

    /// Waits until it ends by itself, and every process that shares its output with it.
    pub async fn wait(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.log.closed()).await.is_ok();
        assert!(ended, "{} has not ended in {PATIENCE:?}:\n{}", self.name, self.logs());
        self.reap()
    }

    /// SIGKILL: it ends here and now, in the midst of whatever it does.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.wait().await;
    }

    /// SIGTERM: asks it to end in order, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Blocks until it has ended; for those who know that it is about to, or cannot await.
    pub fn reap(&mut self) -> ExitStatus {
        self.process.wait().unwrap_or_else(|error| panic!("{} cannot be waited for: {error}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
