//! What the vendors' tongues have in common: how a request is read, and what an answer is made of.

use std::time::Instant;

use serde_json::Value;

use super::http::Received;
use super::{Asked, embeddings, gemini, openai};

/// A vendor's way of saying things. Each event is given as it goes over the wire, its empty line included.
pub(super) trait Dialect: Send + Sync {
    fn text(&self, asked: &Asked, said: &Said, text: &str) -> String;
    /// The finish, and what the vendor says with it.
    fn finish(&self, asked: &Asked, said: &Said) -> String;
    /// What was used, where a script says it after the finish.
    fn usage(&self, asked: &Asked, said: &Said) -> String;
    /// What ends a stream after its finish.
    fn end(&self) -> &'static str;
    /// All of it at once.
    fn whole(&self, asked: &Asked, said: &Said) -> Value;
    fn error(&self, status: u16, message: &str, retry_after: Option<&str>) -> Value;
    fn models(&self, models: &[String]) -> Value;
}

/// What an answer has come to.
#[derive(Default)]
pub(super) struct Said {
    pub begun: bool,
    pub text: String,
    pub usage: Option<Usage>,
    pub finish: Option<&'static str>,
    /// How many numbers each vector has, where some are asked for.
    pub dimension: Option<usize>,
}

#[derive(Clone, Copy)]
pub(super) struct Usage {
    pub prompt: u64,
    pub completion: u64,
}

/// A request, and what it wants.
pub(super) struct Request {
    received: Received,
    body: Value,
    pub wants: Wants,
    pub dialect: &'static dyn Dialect,
}

pub(super) enum Wants {
    Chat { model: String, stream: bool },
    Vectors { model: String },
    Models,
    Nothing,
}

impl Request {
    pub fn read(received: Received) -> Self {
        let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
        let (path, method) = (received.path.as_str(), received.method.as_str());
        let (dialect, wants): (&dyn Dialect, _) = match path.strip_prefix("/v1beta/") {
            Some(rest) => (&gemini::Gemini, gemini::wants(method, rest)),
            None => (&openai::OpenAi, openai::wants(method, path, &body)),
        };
        Self { received, body, wants, dialect }
    }

    pub fn into_asked(self) -> Asked {
        let Self { received, body, wants, .. } = self;
        let (model, stream) = match wants {
            Wants::Chat { model, stream } => (model, stream),
            Wants::Vectors { model } => (model, false),
            Wants::Models | Wants::Nothing => Default::default(),
        };
        let config = &body["generationConfig"];
        let most = [&body["max_tokens"], &body["max_completion_tokens"], &config["maxOutputTokens"]];
        let max_tokens = most.into_iter().find_map(Value::as_u64);
        let temperature = body["temperature"].as_f64().or_else(|| config["temperature"].as_f64());
        let messages = if body["contents"].is_array() { gemini::messages(&body) } else { openai::messages(&body) };
        let texts = embeddings::texts(&body);
        let (api_key, path, at) = (api_key(&received), received.path, Instant::now());
        Asked { number: 0, path, model, api_key, messages, texts, stream, max_tokens, temperature, body, at }
    }
}

fn api_key(received: &Received) -> Option<String> {
    let bearer = received.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = bearer.or_else(|| received.header("x-goog-api-key")).or_else(|| received.parameter("key"));
    key.map(str::to_owned)
}
