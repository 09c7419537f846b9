//! What is refused is refused in OpenAI's shape, whoever refuses it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Service, Stage, on_both_engines};

use super::{KEY, MODEL, Program, Site, ask, json_of, of_request, refused, text, user};

on_both_engines! {
    async fn a_key_is_shown_as_bearer_or_in_its_own_header(on: Site) {
        let (ann, token) = (on.program("ann").await, on.token("bob").await);
        for bearer in [ann.bearer.as_str(), &token, KEY] {
            let program = Program { service: &on.service, bearer: bearer.to_owned() };
            json_of(program.complete(ask("hello")).await, 200).await;
            json_of(program.get("/v1/models").await, 200).await;
        }
        for key in [ann.bearer.as_str(), KEY] {
            let asked = on.service.request(Method::GET, "/v1/models").header("x-api-key", key).bearer_auth("sk-other");
            json_of(asked.send().await.unwrap(), 200).await;
            let elsewhere = on.service.request(Method::GET, "/api/v1/sessions").bearer_auth(key);
            assert_eq!(elsewhere.send().await.unwrap().status(), 401, "elsewhere a bearer is an access token");
        }
    }

    async fn who_is_nobody_is_told_so(on: Site) {
        let swapped = format!("{}x", on.program("ann").await.bearer);
        for bearer in ["", "sk-unknown", "cak_0000000000000000000000000000002a_secret", &swapped] {
            let nobody = Program { service: &on.service, bearer: bearer.to_owned() };
            for (method, path) in [(Method::GET, "/v1/models"), (Method::GET, "/v1/models/rules"), (Method::POST, "/v1/chat/completions"), (Method::POST, "/v1/embeddings")] {
                let answer = nobody.request(method, path).send().await.unwrap();
                assert_eq!(answer.headers()["www-authenticate"], "Bearer");
                assert_eq!(refused(answer, 401).await, of_request(None, "invalid_api_key"), "{path} {bearer}");
            }
        }
        let answer = on.service.request(Method::GET, "/v1/models").send().await.unwrap();
        assert_eq!(refused(answer, 401).await, of_request(None, "invalid_api_key"));
    }

    async fn a_key_may_do_what_it_was_made_for(on: Site) {
        let token = on.token("ann").await;
        let made = on.service.request(Method::POST, "/api/v1/keys").bearer_auth(token);
        let made = made.json(&json!({"name": "reads", "scopes": ["chat:read"]})).send().await.unwrap();
        let reads = Program { service: &on.service, bearer: text(&json_of(made, 201).await["key"]) };
        json_of(reads.get("/v1/models").await, 200).await;
        for path in ["/v1/chat/completions", "/v1/embeddings"] {
            assert_eq!(refused(reads.post(path, json!({})).await, 403).await, of_request(None, "forbidden"), "{path}");
        }
    }

    async fn what_is_not_there_and_what_is_no_request(on: Site) {
        let own = on.own();
        for path in ["/v1/responses", "/v1/files/1", "/v1/chat"] {
            assert_eq!(refused(own.get(path).await, 404).await, of_request(None, "not_found"), "{path}");
        }
        let other = own.request(Method::DELETE, "/v1/models/rules").send().await.unwrap();
        assert_eq!(refused(other, 405).await, of_request(None, "method_not_allowed"));
        let raw = |kind: &str, body: String| own.request(Method::POST, "/v1/chat/completions").header("content-type", kind).body(body);
        for (kind, body, status, code) in [
            ("application/json", "{".to_owned(), 400, "bad_json"),
            ("application/json", r#"{"model": 7}"#.to_owned(), 400, "invalid_value"),
            ("text/plain", "{}".to_owned(), 400, "not_json"),
            ("application/json", " ".repeat((1 << 20) + 1), 413, "too_large"),
        ] {
            assert_eq!(refused(raw(kind, body).send().await.unwrap(), status).await, of_request(None, code));
        }
        for (body, param) in [(json!({"messages": [user("hello")]}), "model"), (json!({"model": MODEL}), "messages")] {
            let missing = of_request(Some(param), "missing_required_parameter");
            assert_eq!(refused(own.complete(body).await, 400).await, missing);
        }
    }

    async fn what_would_make_another_answer_is_refused_by_name(on: Site) {
        let own = on.own();
        for (name, value) in [
            ("n", json!(2)),
            ("stop", json!(["\n"])),
            ("tools", json!([{"type": "function", "function": {"name": "f"}}])),
            ("tool_choice", json!("auto")),
            ("functions", json!([{"name": "f"}])),
            ("function_call", json!("auto")),
            ("response_format", json!({"type": "json_object"})),
            ("logprobs", json!(true)),
            ("top_logprobs", json!(2)),
            ("logit_bias", json!({"50256": -100})),
            ("modalities", json!(["text", "audio"])),
            ("audio", json!({"voice": "alloy", "format": "mp3"})),
            ("web_search_options", json!({})),
        ] {
            let mut body = ask("hello");
            body[name] = value;
            assert_eq!(refused(own.complete(body).await, 400).await, of_request(Some(name), "unsupported_parameter"));
        }
        assert_eq!(on.told(), [Value::Null; 0]);
    }

    async fn names_are_strict(on: Site) {
        let (own, unknown) = (on.own(), of_request(Some("model"), "model_not_found"));
        for model in ["gemini/gemini-2.0-flash", "anthropic/x", "", "a b"] {
            let answer = own.complete(json!({"model": model, "messages": [user("hello")]})).await;
            assert_eq!(refused(answer, 404).await, unknown, "{model}");
        }
        for (model, full) in [("gpt-4o-mini", "openai/gpt-4o-mini"), ("openai/o1", "openai/o1"), ("rules", "rules")] {
            let reply = json_of(own.complete(json!({"model": model, "messages": [user("hello")]})).await, 200).await;
            assert_eq!(reply["model"], full);
        }
    }

    async fn the_rule_bot_alone_answers_to_its_name_alone(stage: Stage) {
        let service = Service::start(stage, &[("API_KEY", KEY)]).await;
        let own = Program { service: &service, bearer: KEY.to_owned() };
        let unknown = of_request(Some("model"), "model_not_found");
        for model in ["gpt-4o", "colloquy-hash-256", "Rules"] {
            let answer = own.complete(json!({"model": model, "messages": [user("hello")]})).await;
            assert_eq!(refused(answer, 404).await, unknown, "{model}");
        }
        let reply = json_of(own.complete(json!({"model": "rules", "messages": [user("hello")]})).await, 200).await;
        assert_eq!(reply["choices"][0]["message"]["content"], "Hello! How can I help you today?");
        let models = json_of(own.get("/v1/models").await, 200).await;
        let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "colloquy"});
        assert_eq!(models, json!({"object": "list", "data": [model("rules"), model("colloquy-hash-256")]}));
        assert_eq!(json_of(own.get("/v1/models/rules").await, 200).await, model("rules"));
        assert_eq!(refused(own.get("/v1/models/gpt-4o").await, 404).await, unknown);
    }
}
