//! OpenAI's chat completions and embeddings, as its servers write them.

use serde_json::{Value, json};

use super::dialect::{Dialect, Said, Usage, Wants};
use super::{Asked, embeddings};

pub(super) struct OpenAi;

/// 2026-01-01T00:00:00Z
const CREATED: u64 = 1_767_225_600;

pub(super) fn wants(method: &str, path: &str, body: &Value) -> Wants {
    match (method, path) {
        ("GET", "/v1/models") => Wants::Models,
        ("POST", "/v1/chat/completions") => {
            let model = body["model"].as_str().unwrap_or_default().to_owned();
            Wants::Chat { model, stream: body["stream"] == true }
        }
        ("POST", "/v1/embeddings") => Wants::Vectors { model: body["model"].as_str().unwrap_or_default().to_owned() },
        _ => Wants::Nothing,
    }
}

/// The messages with their parts joined, where a client sends parts.
pub(super) fn messages(body: &Value) -> Value {
    let mut messages = body["messages"].clone();
    for message in messages.as_array_mut().into_iter().flatten() {
        if let Some(parts) = message["content"].as_array() {
            let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            message["content"] = text.into();
        }
    }
    messages
}

impl Dialect for OpenAi {
    fn text(&self, asked: &Asked, said: &Said, text: &str) -> String {
        let role = json!({"role": "assistant", "content": "", "refusal": null});
        let begin = if said.begun { String::new() } else { chunk(asked, &role.to_string(), None) };
        if text.is_empty() { begin } else { begin + &chunk(asked, &format!("{{\"content\":{}}}", json!(text)), None) }
    }

    fn finish(&self, asked: &Asked, said: &Said) -> String {
        let finish = chunk(asked, "{}", said.finish);
        if said.usage.is_some() { finish + &self.usage(asked, said) } else { finish }
    }

    fn usage(&self, asked: &Asked, said: &Said) -> String {
        match said.usage {
            Some(usage) if wants_usage(asked) => event(asked, "[]", &format!(",\"usage\":{}", tokens(usage))),
            _ => String::new(),
        }
    }

    fn end(&self) -> &'static str {
        "data: [DONE]\n\n"
    }

    fn whole(&self, asked: &Asked, said: &Said) -> Value {
        if let Some(dimension) = said.dimension {
            return embeddings::response(asked, dimension);
        }
        let message = json!({"role": "assistant", "content": said.text, "refusal": null, "annotations": []});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": said.finish});
        json!({
            "id": id(asked),
            "object": "chat.completion",
            "created": CREATED,
            "model": asked.model,
            "choices": [choice],
            "usage": said.usage.map(tokens),
            "service_tier": "default",
            "system_fingerprint": null,
        })
    }

    fn error(&self, status: u16, message: &str, _: Option<&str>) -> Value {
        let (kind, code) = match status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("insufficient_quota")),
            404 => ("invalid_request_error", Some("model_not_found")),
            429 => ("requests", Some("rate_limit_exceeded")),
            400..500 => ("invalid_request_error", None),
            _ => ("server_error", None),
        };
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
    }

    fn models(&self, models: &[String]) -> Value {
        let model = |id: &String| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "system"});
        json!({"object": "list", "data": models.iter().map(model).collect::<Vec<_>>()})
    }
}

/// Put together as text and not as a value: a benchmark has tens of thousands of these in a second.
fn chunk(asked: &Asked, delta: &str, finish: Option<&str>) -> String {
    let choices = format!("[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{}}}]", json!(finish));
    event(asked, &choices, if wants_usage(asked) { ",\"usage\":null" } else { "" })
}

fn event(asked: &Asked, choices: &str, usage: &str) -> String {
    let (id, model) = (id(asked), json!(asked.model));
    format!(
        "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{CREATED},\"model\":{model},\
         \"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":{choices}{usage}}}\n\n"
    )
}

fn id(asked: &Asked) -> String {
    format!("chatcmpl-{}", asked.number)
}

fn wants_usage(asked: &Asked) -> bool {
    asked.body["stream_options"]["include_usage"] == true
}

fn tokens(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    })
}
