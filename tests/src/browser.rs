//! A real browser without a screen, which reaches nothing but this machine.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::child::bound_to_thread;
use crate::servers::{scratch, tool};

/// A page as it stands when its scripts have run.
pub struct Page {
    pub dom: String,
    /// What the page asked for, the refused and the failed, too. What the browser asks for on its own is not among it.
    pub requests: Vec<String>,
}

/// How long a page may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// No name leads anywhere, and the browser asks for little on its own.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    // The page's own time, which stands still while something is loaded.
    "--virtual-time-budget=20000",
];

impl Page {
    pub async fn open(url: &str) -> Self {
        let home = scratch("browser");
        let net = home.path().join("net.json");
        let mut command = bound_to_thread("KILL");
        command.arg("--").arg(tool("chromium")).args(FLAGS).stdin(Stdio::null());
        command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
        command.arg(format!("--log-net-log={}", net.display())).args(["--dump-dom", url]);
        let mut command = tokio::process::Command::from(command);
        let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{url} is not shown in {PATIENCE:?}")).expect("a browser");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let net = fs::read(net).expect("what was asked for");
        let net = serde_json::from_slice(&net).expect("JSON");
        Self { dom: String::from_utf8(output.stdout).expect("text"), requests: requests(&net) }
    }
}

/// A page is an origin; the browser is none.
fn requests(net: &Value) -> Vec<String> {
    let begun = &net["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    let events = net["events"].as_array().expect("events").iter().filter(|event| event["type"] == *begun);
    let of_page = events
        .map(|event| &event["params"])
        .filter(|asked| asked["initiator"].as_str().is_some_and(|initiator| initiator.contains("://")));
    of_page.filter_map(|asked| asked["url"].as_str()).map(str::to_owned).collect()
}
