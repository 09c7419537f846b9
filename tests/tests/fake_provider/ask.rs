//! Questions to a fake provider, and how its answers are read.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::FakeProvider;
use tests::fake_provider::PATIENCE;
use tokio::time::timeout;

pub fn question(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "aye"},
            {"role": "user", "content": "two words"},
        ],
        "stream": stream,
        "stream_options": {"include_usage": true},
        "max_tokens": 64,
        "temperature": 0.5,
    })
}

pub fn openai(provider: &FakeProvider, model: &str, stream: bool) -> RequestBuilder {
    let url = provider.openai_url() + "chat/completions";
    Client::new().post(url).bearer_auth("sk-test").json(&question(model, stream))
}

pub fn gemini(provider: &FakeProvider, method: &str) -> RequestBuilder {
    let content = |role: &str, text: &str| json!({"role": role, "parts": [{"text": text}]});
    let url = format!("{}models/gemini-2.0-flash:{method}", provider.gemini_url());
    Client::new().post(url).json(&json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [content("user", "one"), content("model", "aye"), content("user", "two words")],
        "generationConfig": {"maxOutputTokens": 64, "temperature": 0.5},
    }))
}

pub async fn json_of(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

/// The JSON of a stream's events.
pub fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

pub fn text(body: &str) -> String {
    let events = events(body);
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

/// Reads until there is some text, and gives it.
pub async fn next_text(response: &mut Response) -> String {
    loop {
        let chunk = timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap();
        let said = text(std::str::from_utf8(&chunk).unwrap());
        if !said.is_empty() {
            return said;
        }
    }
}

/// Reads to the end, whichever it is.
pub async fn drain(response: &mut Response) -> (String, Result<(), reqwest::Error>) {
    let mut said = Vec::new();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (String::from_utf8(said).unwrap(), ended)
}
