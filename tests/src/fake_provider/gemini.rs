//! Gemini's `generateContent`, whole and as server-sent events, as Google's servers write them.

use serde_json::{Value, json};

use super::Asked;
use super::dialect::{Dialect, Said, Usage, Wants};

pub(super) struct Gemini;

/// `path` is what comes after the version.
pub(super) fn wants(method: &str, path: &str) -> Wants {
    match (method, path.strip_prefix("models/").and_then(|rest| rest.split_once(':'))) {
        ("GET", None) if path == "models" => Wants::Models,
        ("POST", Some((model, "streamGenerateContent"))) => Wants::Chat { model: model.to_owned(), stream: true },
        ("POST", Some((model, "generateContent"))) => Wants::Chat { model: model.to_owned(), stream: false },
        _ => Wants::Nothing,
    }
}

/// The contents in the words of the other vendor, the system's instruction before them.
pub(super) fn messages(body: &Value) -> Value {
    let system = ["systemInstruction", "system_instruction"].into_iter().map(|name| &body[name]);
    let system = system.filter(|content| content.is_object()).map(|content| message("system", content));
    let contents = body["contents"].as_array().into_iter().flatten();
    let contents =
        contents.map(|content| message(if content["role"] == "model" { "assistant" } else { "user" }, content));
    system.chain(contents).collect()
}

fn message(role: &str, content: &Value) -> Value {
    // Google takes a single part without its list, too.
    let parts = &content["parts"];
    let parts = parts.as_array().map_or(std::slice::from_ref(parts), Vec::as_slice);
    let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    json!({"role": role, "content": text})
}

impl Dialect for Gemini {
    fn text(&self, asked: &Asked, said: &Said, text: &str) -> String {
        event(&response(asked, said, text))
    }

    fn finish(&self, asked: &Asked, said: &Said) -> String {
        event(&response(asked, said, ""))
    }

    fn usage(&self, asked: &Asked, said: &Said) -> String {
        let mut response = response(asked, said, "");
        response.as_object_mut().map(|fields| fields.remove("candidates"));
        event(&response)
    }

    fn end(&self) -> &'static str {
        ""
    }

    fn whole(&self, asked: &Asked, said: &Said) -> Value {
        response(asked, said, &said.text)
    }

    fn error(&self, status: u16, message: &str, retry_after: Option<&str>) -> Value {
        let name = match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            400..500 => "INVALID_ARGUMENT",
            _ => "INTERNAL",
        };
        let retry = |seconds: &str| json!([{"@type": RETRY_INFO, "retryDelay": format!("{seconds}s")}]);
        let mut error = json!({"code": status, "message": message, "status": name});
        if let Some(seconds) = retry_after {
            error["details"] = retry(seconds);
        }
        json!({"error": error})
    }

    fn models(&self, models: &[String]) -> Value {
        let methods = ["generateContent", "streamGenerateContent"];
        let model = |name: &String| json!({"name": format!("models/{name}"), "supportedGenerationMethods": methods});
        json!({"models": models.iter().map(model).collect::<Vec<_>>()})
    }
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Google ends its lines with both characters.
fn event(response: &Value) -> String {
    format!("data: {response}\r\n\r\n")
}

fn response(asked: &Asked, said: &Said, text: &str) -> Value {
    let content = json!({"parts": [{"text": text}], "role": "model"});
    let mut candidate = json!({"content": content, "index": 0});
    if let Some(finish) = said.finish {
        candidate["finishReason"] = reason(finish).into();
    }
    let mut response = json!({"candidates": [candidate], "modelVersion": asked.model, "responseId": id(asked)});
    if let Some(usage) = said.usage {
        response["usageMetadata"] = tokens(usage);
    }
    response
}

fn id(asked: &Asked) -> String {
    format!("response-{}", asked.number)
}

fn reason(finish: &str) -> String {
    match finish {
        "length" => "MAX_TOKENS".to_owned(),
        "content_filter" => "SAFETY".to_owned(),
        other => other.to_uppercase(),
    }
}

fn tokens(usage: Usage) -> Value {
    json!({
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.completion,
        "totalTokenCount": usage.prompt + usage.completion,
    })
}
