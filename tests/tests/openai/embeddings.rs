//! `/v1/embeddings`, and `/v1/models`, which names who makes them.

use serde_json::{Value, json};
use tests::fake_provider::{DIMENSION, Script};
use tests::{Stage, on_both_engines};

use super::{Program, Site, json_of, of_request, refused};

const BUILT_IN: &str = "colloquy-hash-256";
const PROVIDED: &str = "openai/text-embedding-3-small";

async fn embedding(stage: Stage, more: &[(&str, &str)]) -> Site {
    let settings: Vec<_> = [("COLLOQUY_EMBEDDINGS", PROVIDED)].iter().chain(more).copied().collect();
    Site::start(stage, &settings).await
}

async fn embed(who: &Program<'_>, body: Value) -> Value {
    json_of(who.post("/v1/embeddings", body).await, 200).await
}

fn numbers(embedding: &Value) -> Vec<f32> {
    serde_json::from_value(embedding["embedding"].clone()).unwrap()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

/// Four bytes a number, the lowest first, in base64; written here as its document has it.
fn decoded(text: &str) -> Vec<f32> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == letter).unwrap();
        (bits, count) = ((bits << 6) | u32::try_from(digit).unwrap(), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 255).unwrap());
        }
    }
    bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect()
}

on_both_engines! {
    async fn the_built_in_model_embeds_what_is_sent_and_keeps_nothing(on: Site) {
        let own = on.own();
        let texts = ["brew a good espresso", "brewing espresso", "the quarterly budget"];
        let given = embed(&own, json!({"model": BUILT_IN, "input": texts, "user": "ann", "dimensions": 256})).await;
        assert_eq!((&given["object"], &given["model"]), (&json!("list"), &json!(BUILT_IN)));
        assert_eq!(given["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
        let data = given["data"].as_array().unwrap();
        let vectors: Vec<_> = data.iter().map(numbers).collect();
        for (index, (embedding, vector)) in data.iter().zip(&vectors).enumerate() {
            assert_eq!((&embedding["object"], &embedding["index"]), (&json!("embedding"), &json!(index)));
            assert_eq!(vector.len(), 256);
        }
        assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
        let one = embed(&own, json!({"model": BUILT_IN, "input": texts[0], "encoding_format": "float"})).await;
        assert_eq!(one["data"], json!([data[0]]));
        let encoded = embed(&own, json!({"model": BUILT_IN, "input": texts, "encoding_format": "base64"})).await;
        let encoded = encoded["data"].as_array().unwrap().iter().map(|it| decoded(it["embedding"].as_str().unwrap()));
        assert_eq!(encoded.collect::<Vec<_>>(), vectors);
        assert_eq!(own.canonical("/api/v1/sessions").await, json!([]));
        let most: Vec<_> = (0..2_048).map(|number| format!("text {number}")).collect();
        assert_eq!(embed(&own, json!({"model": BUILT_IN, "input": most})).await["data"].as_array().unwrap().len(), 2_048);
    }

    async fn what_can_not_be_embedded_is_refused(on: Site) {
        let own = on.own();
        let input = |input: Value| json!({"model": BUILT_IN, "input": input});
        for (body, param, code) in [
            (json!({"input": "hello"}), "model", "missing_required_parameter"),
            (json!({"model": BUILT_IN}), "input", "missing_required_parameter"),
            (input(json!("")), "input", "invalid_value"),
            (input(json!("?!")), "input", "invalid_value"),
            (input(json!([])), "input", "invalid_value"),
            (input(json!(["hello", ""])), "input", "invalid_value"),
            (input(json!([1, 2, 3])), "input", "invalid_value"),
            (input(json!([[1, 2], [3]])), "input", "invalid_value"),
            (input(json!({"text": "hello"})), "input", "invalid_value"),
            (input(json!(vec!["hello"; 2_049])), "input", "invalid_value"),
            (json!({"model": BUILT_IN, "input": "hello", "dimensions": 128}), "dimensions", "invalid_value"),
            (json!({"model": BUILT_IN, "input": "hello", "encoding_format": "int8"}), "encoding_format", "invalid_value"),
        ] {
            let answer = own.post("/v1/embeddings", body.clone()).await;
            assert_eq!(refused(answer, 400).await, of_request(Some(param), code), "{body}");
        }
        for model in ["rules", "openai/gpt-4o", "text-embedding-3-small"] {
            let answer = own.post("/v1/embeddings", json!({"model": model, "input": "hello"})).await;
            assert_eq!(refused(answer, 404).await, of_request(Some("model"), "model_not_found"), "{model}");
        }
    }

    async fn a_providers_model_is_asked_a_portion_at_a_time(stage: Stage) {
        let on = embedding(stage, &[]).await;
        let own = on.own();
        let texts: Vec<_> = (0..150).map(|number| format!("text {number}")).collect();
        for model in [PROVIDED, "text-embedding-3-small"] {
            let given = embed(&own, json!({"model": model, "input": texts, "dimensions": DIMENSION})).await;
            assert_eq!(given["model"], PROVIDED);
            assert_eq!(given["usage"], json!({"prompt_tokens": 300, "total_tokens": 300}), "a token for each word");
            let data = given["data"].as_array().unwrap();
            assert_eq!(data.len(), 150);
            assert!(data.iter().all(|embedding| numbers(embedding).len() == DIMENSION));
        }
        let asked: Vec<_> = on.fake.asked().iter().map(|asked| asked.texts.len()).collect();
        assert_eq!(asked, [64, 64, 22, 64, 64, 22]);
        assert_eq!(on.fake.embedded()[..150], texts);
        let built_in = embed(&own, json!({"model": BUILT_IN, "input": "hello"})).await;
        assert_eq!(numbers(&built_in["data"][0]).len(), 256);
        on.fake.then_embeds(Script::fails(400));
        let answer = own.post("/v1/embeddings", json!({"model": PROVIDED, "input": "hello"})).await;
        assert_eq!(refused(answer, 400).await, of_request(None, "texts_refused"));
        on.fake.then_embeds(Script::rate_limited(77));
        let answer = own.post("/v1/embeddings", json!({"model": PROVIDED, "input": "hello"})).await;
        assert_eq!(answer.headers()["retry-after"], "77");
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
    }

    async fn a_dimension_that_is_known_is_looked_at_before_a_provider_is_paid(stage: Stage) {
        let dimension = DIMENSION.to_string();
        let on = embedding(stage, &[("COLLOQUY_EMBEDDING_DIMENSIONS", &dimension)]).await;
        let own = on.own();
        let ask = |dimensions: usize| json!({"model": PROVIDED, "input": "hello", "dimensions": dimensions});
        let answer = own.post("/v1/embeddings", ask(DIMENSION + 1)).await;
        assert_eq!(refused(answer, 400).await, of_request(Some("dimensions"), "invalid_value"));
        assert_eq!(on.fake.asked().len(), 0);
        embed(&own, ask(DIMENSION)).await;
        assert_eq!(on.fake.asked().len(), 1);
    }

    async fn what_is_made_here_counts_once_for_the_address(stage: Stage) {
        let on = Site::start(stage, &[("RATE_LIMIT_IP", "2/minute")]).await;
        let own = on.own();
        for _ in 0..2 {
            embed(&own, json!({"model": BUILT_IN, "input": "hello"})).await;
        }
        let answer = own.post("/v1/embeddings", json!({"model": BUILT_IN, "input": "hello"})).await;
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
    }

    // What a provider is paid for has limits; what is made here counts for the address alone.
    async fn a_providers_model_needs_a_turn_and_room_in_the_budget(stage: Stage) {
        let limits = [("RATE_LIMIT_USER", "2/minute"), ("BUDGET_USER_TOKENS", "20/day")];
        let on = embedding(stage, &limits).await;
        let ann = on.program("ann").await;
        let ask = async |model: &str, text: &str| ann.post("/v1/embeddings", json!({"model": model, "input": text})).await;
        let quota = json!("insufficient_quota");
        let long = "word ".repeat(30);
        assert_eq!(refused(ask(PROVIDED, &long).await, 429).await, [quota.clone(), Value::Null, quota]);
        for _ in 0..2 {
            json_of(ask(PROVIDED, "hello").await, 200).await;
        }
        let answer = ask(PROVIDED, "hello").await;
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(refused(answer, 429).await, [json!("requests"), Value::Null, json!("rate_limit_exceeded")]);
        json_of(ask(BUILT_IN, &long).await, 200).await;
        assert_eq!(on.fake.asked().len(), 2);
    }

    async fn what_a_provider_took_is_spent_by_its_user_and_its_key(stage: Stage) {
        let price = "openai/text-embedding-3-small=2/0";
        let limits = [("BUDGET_USER_TOKENS", "8/day"), ("BUDGET_KEY_TOKENS", "5/day"), ("AI_PRICES", price)];
        let on = embedding(stage, &limits).await;
        let ann = on.program("ann").await;
        let ask = async |text: &str| ann.post("/v1/embeddings", json!({"model": PROVIDED, "input": text})).await;
        let standing = async || {
            let budgets = ann.canonical("/api/v1/usage").await["budgets"].clone();
            let standing = |budget: &Value| (budget["spent"].as_u64().unwrap(), budget["reserved"].as_u64().unwrap());
            budgets.as_array().unwrap().iter().map(standing).collect::<Vec<_>>()
        };
        json_of(ask("one two three").await, 200).await;
        assert_eq!(standing().await, [(3, 0), (3, 0)], "a token for each word");
        let quota = json!("insufficient_quota");
        assert_eq!(refused(ask("one two three").await, 429).await, [quota.clone(), Value::Null, quota]);
        on.fake.then_embeds(Script::fails(400));
        assert_eq!(refused(ask("hello").await, 400).await, of_request(None, "texts_refused"));
        assert_eq!(standing().await, [(3, 0), (3, 0)], "what came to nothing costs nothing");
        on.service.settle().await;
        assert_eq!(standing().await, [(3, 0), (3, 0)], "as the read model says");
        let usage = ann.canonical("/api/v1/usage").await;
        assert_eq!((&usage["items"][0]["model"], usage["items"].as_array().unwrap().len()), (&json!(PROVIDED), 1));
        assert_eq!((&usage["total"]["prompt_tokens"], &usage["total"]["cost_usd"]), (&json!(3), &json!(0.000_006)));
        assert_eq!(ann.canonical("/api/v1/usage/limits").await["total"]["admitted"], 1);
    }

    async fn models_are_listed_with_those_that_embed(stage: Stage) {
        let on = embedding(stage, &[]).await;
        let own = on.own();
        let model = |id: &str, owner: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
        let all = [
            model("openai/gpt-4o-mini", "openai"),
            model("rules", "colloquy"),
            model(PROVIDED, "openai"),
            model(BUILT_IN, "colloquy"),
        ];
        let listed = json_of(own.get("/v1/models").await, 200).await;
        assert_eq!(listed, json!({"object": "list", "data": all}));
        for it in &all {
            let id = it["id"].as_str().unwrap();
            for path in [id.to_owned(), id.replace('/', "%2F")] {
                assert_eq!(&json_of(own.get(&format!("/v1/models/{path}")).await, 200).await, it);
            }
        }
        let unlisted = json_of(own.get("/v1/models/gpt-4o").await, 200).await;
        assert_eq!(unlisted, model("gpt-4o", "openai"), "it could be asked for");
        let unknown = of_request(Some("model"), "model_not_found");
        for id in ["gemini/x", "a%20b", "018bcfe5-6800-7000-8000-00000000002a/x%3Fy"] {
            assert_eq!(refused(own.get(&format!("/v1/models/{id}")).await, 404).await, unknown, "{id}");
        }
    }
}
