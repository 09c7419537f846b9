//! Each vendor's words: its events, its whole bodies, its errors, and what it is asked with.

use reqwest::Client;
use serde_json::{Value, json};
use tests::FakeProvider;
use tests::fake_provider::{Script, Step};

use crate::ask::{events, gemini, json_of, openai, question};

#[tokio::test]
async fn openai_streams_a_role_words_a_finish_usage_and_done() {
    let provider = FakeProvider::start().await;
    let response = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let body = response.text().await.unwrap();

    assert!(body.ends_with("\n\ndata: [DONE]\n\n"), "{body}");
    let events = events(&body);
    let choice =
        |delta: Value, finish: Value| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    assert_eq!(events[0]["choices"], json!([choice(role, Value::Null)]));
    let words = ["You ", "said: ", "two ", "words"];
    for (event, word) in events[1..=4].iter().zip(words) {
        assert_eq!(event["choices"], json!([choice(json!({"content": word}), Value::Null)]));
        assert_eq!((&event["object"], &event["usage"]), (&json!("chat.completion.chunk"), &Value::Null));
    }
    assert_eq!(events[5]["choices"], json!([choice(json!({}), json!("stop"))]));
    assert_eq!(events[6]["choices"], json!([]));
    assert_eq!(events[6]["usage"], json!({"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}));
    assert_eq!(events.len(), 7);
    assert!(events.iter().all(|event| event["id"] == "chatcmpl-0" && event["model"] == "gpt-4o-mini"));
}

#[tokio::test]
async fn openai_tells_usage_of_a_stream_only_when_asked() {
    let provider = FakeProvider::start().await;
    let mut body = question("gpt-4o-mini", true);
    body.as_object_mut().unwrap().remove("stream_options");
    let url = provider.openai_url() + "chat/completions";
    let body = Client::new().post(url).json(&body).send().await.unwrap().text().await.unwrap();
    assert!(!body.contains("usage") && body.contains("[DONE]"), "{body}");
}

#[tokio::test]
async fn openai_answers_at_once_in_one_body() {
    let provider = FakeProvider::start().await;
    let body = json_of(openai(&provider, "gpt-4o-mini", false)).await;
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "You said: two words");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 11);
}

#[tokio::test]
async fn gemini_streams_events_and_answers_in_one_body() {
    let provider = FakeProvider::start().await;
    let steps = [Step::Text("Hel".into()), Step::Usage { prompt: 3, completion: 2 }, Step::Text("lo".into())];
    let script = Script::of(steps.into_iter().chain([Step::Finish("length")]).collect());
    provider.then(script.clone());
    provider.then(script);

    let body = gemini(&provider, "streamGenerateContent?alt=sse").send().await.unwrap().text().await.unwrap();
    assert!(body.ends_with("\r\n\r\n"), "{body}");
    let events = events(&body);
    let content = |text: &str| json!({"parts": [{"text": text}], "role": "model"});
    let used = json!({"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5});
    assert_eq!(events[0]["candidates"], json!([{"content": content("Hel"), "index": 0}]));
    assert_eq!(events[0]["usageMetadata"], Value::Null);
    assert_eq!(events[1]["candidates"], json!([{"content": content("lo"), "index": 0}]));
    assert_eq!(events[1]["usageMetadata"], used);
    let last = json!([{"content": content(""), "index": 0, "finishReason": "MAX_TOKENS"}]);
    assert_eq!((&events[2]["candidates"], &events[2]["usageMetadata"]), (&last, &used));
    assert_eq!(events.len(), 3);

    let body = json_of(gemini(&provider, "generateContent")).await;
    let whole = json!([{"content": content("Hello"), "index": 0, "finishReason": "MAX_TOKENS"}]);
    assert_eq!((&body["candidates"], &body["usageMetadata"]), (&whole, &used));
}

#[tokio::test]
async fn what_was_asked_is_told_in_the_same_words_for_both_vendors() {
    let provider = FakeProvider::start().await;
    openai(&provider, "gpt-4o-mini", true).send().await.unwrap().text().await.unwrap();
    gemini(&provider, "generateContent?key=in-the-query").send().await.unwrap().text().await.unwrap();
    gemini(&provider, "generateContent").header("x-goog-api-key", "in-a-header").send().await.unwrap();

    let asked = provider.until_asked(3).await;
    let told = asked.iter().map(|asked| (asked.path.as_str(), asked.model.as_str(), asked.stream));
    let google = "/v1beta/models/gemini-2.0-flash:generateContent";
    let expected = [("/v1/chat/completions", "gpt-4o-mini", true), (google, "gemini-2.0-flash", false)];
    assert_eq!(told.collect::<Vec<_>>(), [expected[0], expected[1], expected[1]]);
    let keys = asked.iter().map(|asked| asked.api_key.as_deref());
    assert_eq!(keys.collect::<Vec<_>>(), [Some("sk-test"), Some("in-the-query"), Some("in-a-header")]);
    for asked in &asked {
        assert_eq!(asked.messages, question("", true)["messages"]);
        assert_eq!((asked.max_tokens, asked.temperature), (Some(64), Some(0.5)));
    }
    assert_eq!(asked.iter().map(|asked| asked.number).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn scripts_are_used_up_in_order_and_then_the_model_has_its_own() {
    let provider = FakeProvider::start().await;
    provider.always("steady", Script::says(&["always"]));
    provider.then(Script::says(&["first"]));
    provider.then(Script::says(&["second"]));
    let mut heard = Vec::new();
    for model in ["steady", "other", "steady", "other"] {
        let body = json_of(openai(&provider, model, false)).await;
        heard.push(body["choices"][0]["message"]["content"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, ["first", "second", "always", "You said: two words"]);

    let models = json_of(Client::new().get(provider.openai_url() + "models")).await;
    assert_eq!(models["data"][0]["id"], "steady");
    let models = json_of(Client::new().get(provider.gemini_url() + "models")).await;
    assert_eq!(models["models"][0]["name"], "models/steady");
}

#[tokio::test]
async fn errors_are_the_vendors_own() {
    let provider = FakeProvider::start().await;
    provider.then(Script::rate_limited(3));
    provider.then(Script::rate_limited(3));
    provider.then(Script::fails(503));

    let limited = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"3".parse().unwrap()));
    assert_eq!(limited.json::<Value>().await.unwrap()["error"]["code"], "rate_limit_exceeded");
    let limited = gemini(&provider, "streamGenerateContent?alt=sse").send().await.unwrap();
    assert_eq!(limited.status().as_u16(), 429);
    let error = limited.json::<Value>().await.unwrap();
    assert_eq!(error["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(error["error"]["details"][0]["retryDelay"], "3s");
    let failed = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    assert_eq!(failed.status().as_u16(), 503);
    assert_eq!(failed.json::<Value>().await.unwrap()["error"]["type"], "server_error");
    let lost = Client::new().post(provider.openai_url() + "elsewhere").send().await.unwrap();
    assert_eq!(lost.status().as_u16(), 404);
}
