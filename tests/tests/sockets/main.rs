//! Sockets on both engines: what goes over them, who may open them, how they end.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod nodes;
mod proofs;
mod refusals;
mod talk;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::Options;
use tests::fake_provider::{Script, Step};
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Persona, Socket, TestApp};

/// A service that asks a provider.
pub(crate) struct Asking {
    pub(crate) app: TestApp,
    pub(crate) fake: FakeProvider,
}

impl Play for Asking {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        Self { app, fake }
    }
}

/// A socket of somebody's.
pub(crate) async fn open(app: &TestApp, who: &Persona<'_>) -> Socket {
    Socket::open(app.address(), "", &[("authorization", &format!("Bearer {}", who.token))]).await.unwrap()
}

pub(crate) async fn ticket(who: &Persona<'_>) -> String {
    let answer = who.request(Method::POST, "/api/v1/chat/ws-ticket").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["expires_in"], 30);
    answer["ticket"].as_str().unwrap().to_owned()
}

pub(crate) async fn key(of: &Persona<'_>, scopes: &[&str]) -> Value {
    let body = json!({"name": "a key", "scopes": scopes});
    let answer = of.request(Method::POST, "/api/v1/keys").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// Says some, stands at a gate, and says the rest.
pub(crate) fn gated(before: &[&str], after: &[&str]) -> Script {
    let texts = |all: &[&str]| all.iter().map(|text| Step::Text((*text).to_owned())).collect::<Vec<_>>();
    let end = vec![Step::Usage { prompt: 11, completion: 7 }, Step::Finish("stop")];
    Script::of([texts(before), vec![Step::Gate], texts(after), end].concat())
}

pub(crate) fn names(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}
