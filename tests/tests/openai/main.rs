//! `/v1`, in OpenAI's shape: against the real program on both engines, by hand and by OpenAI's own clients.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's words are its panics")]

mod clients;
mod completions;
mod embeddings;
mod limits;
mod refusals;
mod sessions;
mod streams;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::stage::{Play, Stage};
use tests::{FakeProvider, Service};

/// The service's own key.
const KEY: &str = "sk-colloquy-bootstrap-0123456789abcdef";
/// A model of the provider that there is; it repeats what it is asked.
const MODEL: &str = "openai/gpt-4o";
const PASSWORD: &str = "SuperSecret123!";

/// A program that asks a provider.
struct Site {
    service: Service,
    fake: FakeProvider,
}

impl Play for Site {
    async fn on(stage: Stage) -> Self {
        Self::start(stage, &[]).await
    }
}

impl Site {
    async fn start(stage: Stage, more: &[(&str, &str)]) -> Self {
        let fake = FakeProvider::start().await;
        let url = fake.openai_url();
        let settings = [
            ("API_KEY", KEY),
            ("AI_SERVICES__OPENAI_BASE_URL", url.as_str()),
            ("AI_SERVICES__OPENAI_API_KEY", "sk-good-for-tests-alone"),
        ];
        let settings: Vec<_> = settings.iter().chain(more).copied().collect();
        Self { service: Service::start(stage, &settings).await, fake }
    }

    /// Whoever has the service's own key.
    fn own(&self) -> Program<'_> {
        Program { service: &self.service, bearer: KEY.to_owned() }
    }

    /// A program with a key of a user's.
    async fn program(&self, name: &str) -> Program<'_> {
        let token = self.token(name).await;
        let asked = self.service.request(Method::POST, "/api/v1/keys").bearer_auth(token).json(&json!({"name": name}));
        let key = json_of(asked.send().await.unwrap(), 201).await;
        Program { service: &self.service, bearer: text(&key["key"]) }
    }

    /// A new user's access token.
    async fn token(&self, name: &str) -> String {
        let who = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        for path in ["/auth/register", "/auth/login"] {
            let answer = self.service.request(Method::POST, path).json(&who).send().await.unwrap();
            let answer = json_of(answer, 200).await;
            if let Some(token) = answer["access_token"].as_str() {
                return token.to_owned();
            }
        }
        panic!("{name} has no token")
    }

    /// What the provider was told, by each request.
    fn told(&self) -> Vec<Value> {
        self.fake.asked().into_iter().map(|asked| asked.messages).collect()
    }
}

/// Somebody's requests, as OpenAI's clients send them.
struct Program<'a> {
    service: &'a Service,
    bearer: String,
}

impl Program<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.service.request(method, path).bearer_auth(&self.bearer)
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().await.unwrap()
    }

    async fn complete(&self, body: Value) -> Response {
        self.post("/v1/chat/completions", body).await
    }

    async fn goes_on(&self, session: &str, body: Value) -> Response {
        self.request(Method::POST, "/v1/chat/completions")
            .header("x-session-id", session)
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    /// What the canonical API shows of it.
    async fn canonical(&self, path: &str) -> Value {
        let asked = self.service.request(Method::GET, path).header("x-api-key", &self.bearer);
        json_of(asked.send().await.unwrap(), 200).await
    }

    /// What is said in a session, oldest first: who says it, and what.
    async fn said(&self, session: &str) -> Vec<(String, String)> {
        let all = self.canonical(&format!("/api/v1/sessions/{session}/messages?limit=100")).await;
        let said = |it: &Value| (text(&it["role"]), text(&it["content"]));
        all.as_array().unwrap().iter().rev().map(said).collect()
    }
}

/// A question to a model.
fn ask(content: &str) -> Value {
    json!({"model": MODEL, "messages": [user(content)]})
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn pairs(said: &[(&str, &str)]) -> Vec<(String, String)> {
    said.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

fn session(answer: &Response) -> String {
    answer.headers()["x-session-id"].to_str().unwrap().to_owned()
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn json_of(answer: Response, status: u16) -> Value {
    let (given, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(given, status, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// A refusal: its type, param and code.
async fn refused(answer: Response, status: u16) -> [Value; 3] {
    let body = json_of(answer, status).await;
    let error = body["error"].as_object().unwrap();
    assert_eq!((body.as_object().unwrap().len(), error.len()), (1, 4), "{body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    ["type", "param", "code"].map(|name| error[name].clone())
}

const REQUEST: &str = "invalid_request_error";

fn of_request(param: Option<&str>, code: &str) -> [Value; 3] {
    [json!(REQUEST), json!(param), json!(code)]
}
