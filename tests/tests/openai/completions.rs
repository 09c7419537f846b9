//! A completion at once: what the model is told, what is kept, and what is answered.

use serde_json::{Value, json};
use tests::fake_provider::{Script, Step};
use tests::{Stage, on_both_engines};

use super::{MODEL, Site, ask, json_of, of_request, pairs, refused, session, text, user};

on_both_engines! {
    async fn a_conversation_is_told_as_it_was_sent_and_kept(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::says(&["I am ", "fine."]));
        let messages = json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "My name is Ann.", "name": "ann"},
            {"role": "assistant", "content": "Hello, Ann."},
            {"role": "assistant", "content": ""},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind,"}, {"type": "text", "text": "too."}]},
            {"role": "user", "content": [{"type": "text", "text": "How are you?"}]},
        ]);
        let answer = ann.complete(json!({"model": "gpt-4o", "messages": messages})).await;
        let session = session(&answer);
        let reply = json_of(answer, 200).await;
        let id = text(&reply["id"]);
        assert!(reply["created"].as_i64().is_some_and(|it| it > 1_700_000_000), "{reply}");
        assert_eq!(reply, json!({
            "id": id,
            "object": "chat.completion",
            "created": reply["created"],
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "I am fine.", "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        }));
        let kept = [
            ("system", "Be brief."),
            ("user", "My name is Ann."),
            ("assistant", "Hello, Ann."),
            ("system", "Be kind,\ntoo."),
            ("user", "How are you?"),
        ];
        let told: Vec<Value> = kept.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
        assert_eq!(on.told(), [json!(told)]);
        let all = kept.iter().copied().chain([("bot", "I am fine.")]).collect::<Vec<_>>();
        assert_eq!(ann.said(&session).await, pairs(&all));
        let newest = &ann.canonical(&format!("/api/v1/sessions/{session}/messages")).await[0];
        assert_eq!(id, format!("chatcmpl-{}", text(&newest["message_id"])));
        assert_eq!(ann.canonical("/api/v1/sessions").await[0]["session_name"], "My name is Ann.");
    }

    async fn it_ends_as_the_model_ended(on: Site) {
        let ann = on.program("ann").await;
        for (finish, shown) in [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")] {
            on.fake.then(Script::of(vec![Step::Text("so".to_owned()), Step::Finish(finish)]));
            let reply = json_of(ann.complete(ask("and?")).await, 200).await;
            assert_eq!(reply["choices"][0]["finish_reason"], shown);
        }
        let reply = json_of(ann.complete(json!({"model": "rules", "messages": [user("hello")]})).await, 200).await;
        assert_eq!(reply["choices"][0]["message"]["content"], "Hello! How can I help you today?");
        assert_eq!((&reply["model"], &reply["choices"][0]["finish_reason"]), (&json!("rules"), &json!("stop")));
        assert_eq!(reply["usage"], json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}));
    }

    async fn what_is_asked_of_the_model_reaches_it_and_the_rest_is_passed_over(on: Site) {
        let ann = on.program("ann").await;
        for (name, most) in [("max_tokens", 150), ("max_completion_tokens", 151)] {
            let body = json!({
                "model": MODEL, "messages": [user("hello")], name: most, "temperature": 0.7,
                "n": 1, "stop": null, "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
                "logprobs": false, "logit_bias": {}, "modalities": ["text"], "stream": false,
                "top_p": 0.5, "seed": 7, "user": "ann", "metadata": {"a": "b"}, "store": true, "presence_penalty": 1,
                "frequency_penalty": 1, "parallel_tool_calls": true, "service_tier": "auto", "reasoning_effort": "low",
            });
            json_of(ann.complete(body).await, 200).await;
            let asked = on.fake.asked().pop().unwrap();
            assert_eq!(asked.max_tokens, Some(most));
            assert!(asked.temperature.is_some_and(|it| (it - 0.7).abs() < 0.001), "{asked:?}");
        }
    }

    async fn the_same_request_under_a_key_is_one_turn(on: Site) {
        let ann = on.program("ann").await;
        let send = async |body: &Value| {
            let request = ann.request(reqwest::Method::POST, "/v1/chat/completions").header("idempotency-key", "one");
            request.json(body).send().await.unwrap()
        };
        let body = json!({"model": MODEL, "messages": [{"role": "system", "content": "Be brief."}, user("hello")]});
        let (first, again) = (send(&body).await, send(&body).await);
        assert_eq!(session(&first), session(&again));
        assert_eq!(json_of(first, 200).await, json_of(again, 200).await);
        assert_eq!(on.told().len(), 1);
        for earlier in [json!([]), json!([["system", "Be long."]]), json!([["user", "Be brief."]]), json!([["system", "Be brief."], ["user", "x"]])] {
            let earlier = earlier.as_array().unwrap().iter().map(|it| json!({"role": it[0], "content": it[1]}));
            let messages: Vec<Value> = earlier.chain([user("hello")]).collect();
            let other = send(&json!({"model": MODEL, "messages": messages})).await;
            assert_eq!(refused(other, 400).await, of_request(None, "idempotency_key_reused"), "{messages:?}");
        }
        assert_eq!(ann.canonical("/api/v1/sessions").await.as_array().unwrap().len(), 1);
    }

    // Of a long conversation the model is told the end, and what the system said at its beginning.
    async fn the_systems_first_word_is_never_left_out(stage: Stage) {
        let on = Site::start(stage, &[("COLLOQUY_CONTEXT_TOKENS", "120")]).await;
        let long = "word ".repeat(60);
        let turns = (0..80).map(|number| json!({"role": if number % 2 == 0 { "user" } else { "assistant" }, "content": format!("{number} {long}")}));
        let messages: Vec<Value> = [json!({"role": "system", "content": "Be brief."})].into_iter().chain(turns).chain([user("and now?")]).collect();
        json_of(on.own().complete(json!({"model": MODEL, "messages": messages})).await, 200).await;
        let told = on.told().remove(0);
        let told: Vec<_> = told.as_array().unwrap().iter().map(|it| (text(&it["role"]), text(&it["content"]))).collect();
        assert_eq!(told, pairs(&[("system", "Be brief."), ("assistant", &format!("79 {long}")), ("user", "and now?")]));
    }
}
