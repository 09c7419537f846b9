//! docker-compose, which starts nothing here: it reads a file, and says what it makes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::servers::{scratch, tool};

/// YAML has no parser among the workspace's crates; schemathesis brings one along.
const TO_JSON: &str = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";

/// What it makes of `docker-compose.yml` in a folder, where nothing is set but this, whatever `.env` lies there; or why it
/// refuses it.
pub fn compose<'a>(folder: &Path, set: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Value, String> {
    let home = scratch("compose");
    let file = |name: &str| home.path().join(name);
    fs::write(file("nothing.env"), "").expect("a directory of one's own");
    let mut command = Command::new(tool("docker-compose"));
    command.arg("--env-file").arg(file("nothing.env")).args(["--file", "docker-compose.yml", "config"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = command.current_dir(folder).env_clear().env("PATH", path).envs(set).output();
    let output = output.expect("docker-compose can be started");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::write(file("made.yml"), output.stdout).expect("a directory of one's own");
    let mut python = Command::new("python3");
    python.args(["-c", TO_JSON]).arg(file("made.yml")).env("PYTHONPATH", tool("schemathesis"));
    let output = python.output().expect("python3 can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
}
