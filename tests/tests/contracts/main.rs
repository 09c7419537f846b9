//! The five documents whose services this one replaces: what each says, tried as its reader would, with `curl`, against the
//! real program on both engines. What is expected was written from the documents.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod away;
mod headers;
mod limits;
mod s0;
mod s1;
mod s2;
mod s3;
mod s4;
mod settings;
mod shared;
mod traps;

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Service};
use tokio::process::Command;

/// What `curl -i` showed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    fn read(shown: &str) -> Self {
        let (head, text) = shown.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), text: text.to_owned() }
    }

    /// Its body, if it was answered so.
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }
}

/// A command as its document has it, whatever address stands in it; the document's words for what was got before are
/// replaced first, such as `YOUR_ACCESS_TOKEN`.
pub(crate) async fn curl(service: &Service, command: &str, got: &[(&str, &str)]) -> Answer {
    let mut typed = command.trim().to_owned();
    for address in ["http://localhost:8000", "http://127.0.0.1:8000"] {
        typed = typed.replace(address, &service.node.url());
    }
    for (name, value) in got {
        assert!(typed.contains(name), "{name} is not in {typed}");
        typed = typed.replace(name, value);
    }
    let typed = typed.replacen("curl", "curl -i -sS --noproxy '*' --max-time 60", 1);
    let output = Command::new("sh").args(["-c", &typed]).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{typed}: {}", String::from_utf8_lossy(&output.stderr));
    Answer::read(&String::from_utf8(output.stdout).unwrap())
}

/// What a document says is there, and as it says; more may be there.
#[track_caller]
pub(crate) fn has(body: &Value, documented: Value) {
    for (name, value) in documented.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name} in {body}");
    }
}

/// Fields that are there, and are no null.
#[track_caller]
pub(crate) fn has_all(body: &Value, names: &[&str]) {
    for name in names {
        assert!(!body[*name].is_null(), "{name} in {body}");
    }
}

/// A moment with its zone.
#[track_caller]
pub(crate) fn is_moment(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.len() > "2026-01-01T00:00:00".len() && text.contains('T') && text.ends_with('Z'), "{text}");
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub(crate) async fn json_of(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status(), status, "{}", answer.url());
    answer.json().await.unwrap()
}

/// Somebody's requests.
pub(crate) struct Client<'a> {
    pub(crate) service: &'a Service,
    pub(crate) token: String,
}

impl Client<'_> {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.service.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        json_of(self.request(Method::GET, path).send().await.unwrap(), 200).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        json_of(self.request(Method::DELETE, path).send().await.unwrap(), 200).await
    }
}

pub(crate) const PASSWORD: &str = "SuperSecret123!";

pub(crate) async fn post(service: &Service, path: &str, body: Value) -> Response {
    service.request(Method::POST, path).json(&body).send().await.unwrap()
}

/// Somebody with a user name and an email, signed in.
pub(crate) async fn user<'a>(service: &'a Service, name: &str) -> Client<'a> {
    let who = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    json_of(post(service, "/auth/register", who.clone()).await, 200).await;
    let token = json_of(post(service, "/auth/login", who).await, 200).await;
    Client { service, token: text(&token["access_token"]) }
}

/// A program that asks a provider.
pub(crate) struct Asking {
    pub(crate) service: Service,
    pub(crate) fake: FakeProvider,
}

impl Play for Asking {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        let settings = [
            ("AI_SERVICES__OPENAI_BASE_URL", fake.openai_url()),
            ("AI_SERVICES__OPENAI_API_KEY", "sk-good-for-tests-alone".to_owned()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let service = Service::start(stage, &settings).await;
        Self { service, fake }
    }
}

impl Asking {
    pub(crate) fn says(&self, words: &[&str]) {
        self.fake.then(Script::says(words));
    }
}
