//! A service with small limits, and what it says of them.

use api::Rates;
use domain::limit::Rate;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::app::{Options, Persona};
use tests::{Stage, TestApp};

pub fn rate(text: &str) -> Option<Rate> {
    (text != "off").then(|| text.parse().unwrap())
}

/// For the service, for a user, and for an address.
pub fn rates([service, user, address]: [&str; 3]) -> Rates {
    Rates { service: rate(service), user: rate(user), address: rate(address), ..Rates::default() }
}

pub async fn limited(stage: Stage, all: [&str; 3]) -> TestApp {
    TestApp::start(stage, Options { rates: rates(all), ..Options::default() }).await
}

pub async fn status(who: &Persona<'_>) -> Value {
    let answer = who.request(Method::GET, "/api/v1/chat/rate-limit").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// How many of the service's places are taken, and how many of one's own.
pub async fn used(who: &Persona<'_>) -> (u64, u64) {
    let status = status(who).await;
    let current = |of: &str| status[of]["current"].as_u64().unwrap();
    (current("global"), current("user"))
}

/// Says so many things; the status of each answer.
pub async fn say(who: &Persona<'_>, count: usize) -> Vec<u16> {
    let mut said = Vec::new();
    for number in 0..count {
        said.push(who.post(&format!("hello {number}"), None).await.status().as_u16());
    }
    said
}

pub async fn code(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status(), status);
    answer.json::<Value>().await.unwrap()["code"].clone()
}

pub fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

pub fn message(text: &str) -> Value {
    json!({"message": text})
}
