//! Vectors: as OpenAI writes them, near where texts mean the same.

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tests::FakeProvider;
use tests::fake_provider::{DIMENSION, Script, Step};

async fn embed(provider: &FakeProvider, input: Value) -> Response {
    let request = Client::new().post(provider.openai_url() + "embeddings").bearer_auth("sk-test");
    request.json(&json!({"model": "embed", "input": input})).send().await.unwrap()
}

async fn vectors(provider: &FakeProvider, texts: &[&str]) -> Vec<Vec<f64>> {
    let answer: Value = embed(provider, json!(texts)).await.json().await.unwrap();
    let numbers = |row: &Value| row["embedding"].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
    answer["data"].as_array().unwrap().iter().map(numbers).collect()
}

fn likeness(one: &[f64], other: &[f64]) -> f64 {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[tokio::test]
async fn what_means_the_same_is_near() {
    let provider = FakeProvider::start().await;
    let vectors = vectors(&provider, &["My car!", "my automobile", "the committee"]).await;
    assert!(vectors.iter().all(|vector| vector.len() == DIMENSION));
    assert!(likeness(&vectors[0], &vectors[1]) > 0.99);
    assert!(likeness(&vectors[0], &vectors[2]) < 0.5);
    assert_eq!(provider.embedded(), ["My car!", "my automobile", "the committee"]);
    let asked = &provider.asked()[0];
    assert_eq!((asked.model.as_str(), asked.api_key.as_deref(), asked.texts.len()), ("embed", Some("sk-test"), 3));
    let answer: Value = embed(&provider, json!("one text")).await.json().await.unwrap();
    assert_eq!((&answer["usage"]["prompt_tokens"], &answer["data"][0]["index"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn it_fails_as_it_is_told_and_those_who_talk_do_not_hear_of_it() {
    let provider = FakeProvider::start().await;
    provider.then_embeds(Script::rate_limited(7));
    provider.then_embeds(Script::of(vec![Step::Vectors(3)]));
    provider.then_embeds(Script::garbage());
    let talk = crate::ask::openai(&provider, "gpt-4o-mini", false).send().await.unwrap();
    assert_eq!(talk.status(), 200);
    let limited = embed(&provider, json!(["a"])).await;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(vectors(&provider, &["a"]).await[0].len(), 3);
    assert!(embed(&provider, json!(["a"])).await.json::<Value>().await.is_err());
    assert_eq!(provider.embedded(), ["a"], "once it came to vectors");
}
