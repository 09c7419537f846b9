//! A service whose replies come from a provider, and what is asked of it.

use reqwest::{Method, Response};
use serde_json::Value;
use tests::app::Options;
use tests::fake_provider::{Script, Step};
use tests::sse::{Event, Events};
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Persona, TestApp};

/// A service that asks a provider.
pub struct Asking {
    pub app: TestApp,
    pub fake: FakeProvider,
}

impl Play for Asking {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        Self { app, fake }
    }
}

pub async fn post(who: &Persona<'_>, path: &str, body: Value) -> Response {
    who.request(Method::POST, path).json(&body).send().await.unwrap()
}

pub async fn stream(who: &Persona<'_>, body: Value) -> Events {
    Events::of(post(who, "/api/v1/chat/stream", body).await)
}

pub async fn get(who: &Persona<'_>, path: &str) -> Value {
    let answer = who.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

pub async fn json_of(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status(), status);
    answer.json().await.unwrap()
}

pub async fn resume(who: &Persona<'_>, id: &str, after: usize) -> Vec<Event> {
    let path = format!("/api/v1/messages/{id}/stream?after={after}");
    Events::of(who.request(Method::GET, &path).send().await.unwrap()).rest().await
}

/// Says some, stands at a gate, and says the rest.
pub fn gated(before: &[&str], after: &[&str]) -> Script {
    let texts = |all: &[&str]| all.iter().map(|text| Step::Text((*text).to_owned())).collect::<Vec<_>>();
    let end = vec![Step::Usage { prompt: 11, completion: 7 }, Step::Finish("stop")];
    Script::of([texts(before), vec![Step::Gate], texts(after), end].concat())
}

pub fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}
