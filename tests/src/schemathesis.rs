//! schemathesis: asks a service for all that its document tells of, in every way, and compares the answers with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::child::bound_to_thread;
use crate::servers::{scratch, tool};

/// What came of it.
pub struct Report {
    pub is_clean: bool,
    /// In its own words.
    pub text: String,
    /// With which statuses each operation was answered, by its `operationId`.
    pub statuses: BTreeMap<String, BTreeSet<u64>>,
}

const PATIENCE: Duration = Duration::from_mins(3);

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth,unsupported_method";

/// Tries a service; `config` is a `schemathesis.toml`.
pub async fn run(service: &str, document: &Value, config: &str) -> Report {
    let home = scratch("schemathesis");
    let file = |name: &str| home.path().join(name);
    fs::write(file("openapi.json"), document.to_string()).expect("a directory of one's own");
    fs::write(file("schemathesis.toml"), config).expect("a directory of one's own");
    let mut command = bound_to_thread("KILL");
    command.args(["--", "python3", "-m", "schemathesis.cli", "run", "openapi.json", "--url", service, "--no-color"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--seed", "1", "--max-examples", "5"]);
    // Beside other tests all of it may take a while.
    command.args(["--suppress-health-check", "all", "--request-timeout", "60"]);
    command.args(["--report", "har", "--report-har-path", "seen.json"]);
    command.current_dir(home.path()).env("PYTHONPATH", tool("schemathesis")).stdin(Stdio::null());
    let output = timeout(PATIENCE, tokio::process::Command::from(command).kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("schemathesis has not ended in {PATIENCE:?}")).expect("python3");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let seen = fs::read(file("seen.json")).unwrap_or_else(|_| panic!("{text}"));
    let seen: Value = serde_json::from_slice(&seen).expect("JSON");
    let entries = seen["log"]["entries"].as_array().expect("what was asked and answered");
    let mut statuses = BTreeMap::<_, BTreeSet<_>>::new();
    for entry in entries {
        // Methods that a path does not take are tried as well.
        if let Some(id) = operation(document, service, &entry["request"]) {
            statuses.entry(id.to_owned()).or_default().extend(entry["response"]["status"].as_u64());
        }
    }
    Report { is_clean: output.status.success(), text, statuses }
}

/// The `operationId` of what was asked for.
fn operation<'a>(document: &'a Value, service: &str, request: &Value) -> Option<&'a str> {
    let url = request["url"].as_str()?.strip_prefix(service)?;
    let path = url.split('?').next()?;
    let paths = document["paths"].as_object().expect("paths");
    // A path that names each of its parts goes before one that leaves some open.
    let template = paths.keys().filter(|template| fits(template, path)).min_by_key(|it| it.matches('{').count())?;
    paths[template].get(request["method"].as_str()?.to_lowercase())?["operationId"].as_str()
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}
