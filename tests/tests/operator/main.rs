//! What whoever runs the service does at the machine itself, beside a server that runs: its effects, its words, its exits.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's words are its panics")]

mod accounts;
mod dev_admin;
mod keys;
mod limits;

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tests::service::said;
use tests::{Colloquy, Service};
use tokio::time::{interval, timeout};

/// How soon every node knows of what has ended.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What a subcommand printed after a word.
fn printed(output: &str, word: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {word} in {output}")).to_owned()
}

/// Runs a subcommand that must fail, and gives what it said: on its standard error alone.
async fn fails(service: &Service, line: &str, args: &[&str]) -> String {
    let output = service.binary.run_told(line, args).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{args:?}: {}", said(&output));
    said(&output)
}

async fn sign_in(url: &str, name: &str, password: &str) -> Response {
    let body = json!({"username": name, "password": password});
    Client::new().post(format!("{url}/api/v1/users/login")).json(&body).send().await.unwrap()
}

/// Signs in, and gives the access token.
async fn token(service: &Service, name: &str, password: &str) -> String {
    let answer = sign_in(&service.node.url(), name, password).await;
    assert_eq!(answer.status(), 200, "{name} signs in");
    answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

async fn status(service: &Service, name: &str, password: &str) -> u16 {
    sign_in(&service.node.url(), name, password).await.status().as_u16()
}

/// Who an access token says one is; the status where it says nothing any more.
async fn me(service: &Service, token: &str) -> Result<Value, u16> {
    let answer = service.request(Method::GET, "/api/v1/users/me").bearer_auth(token).send().await.unwrap();
    let status = answer.status().as_u16();
    if status == 200 { Ok(answer.json().await.unwrap()) } else { Err(status) }
}

/// Looks again and again for a second.
async fn at_once(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(10));
    let seen = async {
        while !look().await {
            ticks.tick().await;
        }
    };
    assert!(timeout(AT_ONCE, seen).await.is_ok(), "{what} was not seen in {AT_ONCE:?}");
}

async fn is_out_at_once(service: &Service, token: &str) {
    at_once("the end of a sign-in", async || me(service, token).await == Err(401)).await;
}

/// A node by itself that was given these settings.
fn alone(settings: &[(&str, &str)]) -> tests::Builder {
    settings.iter().fold(Colloquy::builder(), |binary, (name, value)| binary.env(name, value))
}
