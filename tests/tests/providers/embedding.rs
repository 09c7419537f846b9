//! The model that embeds: the same keys, retries and deadlines; and no vector that is none.

use std::time::Instant;

use replies::{EmbeddingsConfig, Unembedded, Vectors};
use tests::fake_provider::{DIMENSION, Step};

use super::*;

pub async fn house(keys: &[&str], set: impl FnOnce(&mut ProvidersConfig)) -> House {
    House::with(keys, |_, config| {
        config.embeddings = Some(EmbeddingsConfig { model: "openai/embed".to_owned(), dimensions: None });
        set(config);
    })
    .await
}

pub async fn embed(house: &House) -> Result<Vectors, Unembedded> {
    house.providers.embed(&["my car".to_owned(), "an automobile".to_owned()]).await
}

async fn reason(house: &House) -> Interruption {
    embed(house).await.unwrap_err().failure().reason
}

#[tokio::test]
async fn texts_are_embedded_together_with_keys_in_turn() {
    let house = house(&["a", "b"], |_| ()).await;
    for _ in 0..2 {
        let Vectors { vectors, dimension, prompt_tokens } = embed(&house).await.unwrap();
        assert_eq!((vectors.len(), dimension as usize, prompt_tokens), (2, DIMENSION, Some(4)));
    }
    assert_eq!(house.presented(), ["embed a", "embed b"]);
    assert_eq!(house.fake.asked()[0].path, "/v1/embeddings");
    assert_eq!(house.fake.asked()[0].texts, ["my car", "an automobile"]);
}

#[tokio::test]
async fn it_is_asked_for_as_many_numbers_as_are_wanted() {
    let house = House::with(&["a"], |_, config| {
        config.embeddings = Some(EmbeddingsConfig { model: "openai/embed".to_owned(), dimensions: Some(8) });
    });
    let house = house.await;
    house.fake.then_embeds(Script::of(vec![Step::Vectors(8)]));
    assert_eq!(embed(&house).await.unwrap().dimension, 8);
    assert_eq!(house.fake.asked()[0].body["dimensions"], 8);
    assert_eq!(reason(&house).await, Interruption::ProviderFailed, "it gives what it likes");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for script in [Script::fails(503), Script::garbage(), Script::of(vec![Step::Cut]), Script::rate_limited(0)] {
        let house = house(&["a"], |_| ()).await;
        house.fake.then_embeds(script.clone());
        assert_eq!(embed(&house).await.unwrap().vectors.len(), 2, "{script:?}");
        assert_eq!(house.times(), 2);
    }
}

#[tokio::test]
async fn a_key_that_is_not_accepted_gives_way_to_the_next() {
    let house = house(&["a", "b"], |_| ()).await;
    house.fake.then_embeds(Script::fails(401));
    embed(&house).await.unwrap();
    house.fake.then(Script::says(&["hello"]));
    house.hear().await;
    assert_eq!(house.presented(), ["embed a", "embed b", "gpt-4o b"], "keys are those of the replies");
}

#[tokio::test]
async fn a_limit_is_told_with_its_time() {
    let house = house(&["a"], |_| ()).await;
    house.fake.then_embeds(Script::rate_limited(60));
    let failed = embed(&house).await.unwrap_err();
    assert_eq!(failed.failure().reason, Interruption::RateLimited);
    assert!((58..=60).contains(&failed.failure().retry_after.unwrap().as_secs()));
}

#[tokio::test]
async fn a_refusal_is_told_from_a_failure() {
    let house = house(&["a"], |_| ()).await;
    for status in [400, 404, 413, 422] {
        house.fake.then_embeds(Script::fails(status));
        assert!(matches!(embed(&house).await, Err(Unembedded::Refused(_))), "{status}");
    }
    house.fake.then_embeds(Script::fails(403));
    assert!(matches!(embed(&house).await, Err(Unembedded::Failed(_))), "the key's fault");
    assert_eq!(house.times(), 5, "none is tried again");
}

#[tokio::test]
async fn what_is_no_vector_for_each_text_is_none() {
    let body = |data: &str| {
        let body = format!(r#"{{"data": [{data}], "model": "m", "usage": {{"prompt_tokens": 1, "total_tokens": 1}}}}"#);
        Script::of(vec![Step::Raw(body.into_bytes())])
    };
    let row = |index: usize, vector: &str| format!(r#"{{"index": {index}, "embedding": [{vector}]}}"#);
    for data in [
        String::new(),
        row(0, "1, 2"),
        [row(0, "1, 2"), row(1, "1")].join(","),
        [row(0, "0, 0"), row(1, "1, 2")].join(","),
        [row(0, "1e39, 0"), row(1, "1, 2")].join(","),
        [row(0, "1, 2"), row(1, "1, 2"), row(2, "1, 2")].join(","),
    ] {
        let house = house(&["a"], |_| ()).await;
        house.fake.then_embeds(body(&data));
        assert_eq!(reason(&house).await, Interruption::ProviderFailed, "{data}");
        assert_eq!(house.times(), 1, "it was paid for, and is not asked at once again: {data}");
    }
    let swapped = house(&["a"], |_| ()).await;
    swapped.fake.then_embeds(body(&[row(1, "1, 2"), row(0, "3, 4")].join(",")));
    let numbers: Vec<_> = embed(&swapped).await.unwrap().vectors.iter().map(domain::values::Vector::numbers).collect();
    assert_eq!(numbers, [[3.0, 4.0], [1.0, 2.0]]);
}

#[tokio::test]
async fn whoever_searches_waits_five_seconds_at_most() {
    let house = house(&["a"], |_| ()).await;
    house.fake.then_embeds(Script::of(vec![Step::Gate]));
    let begun = Instant::now();
    let failed = house.providers.embed_query("car").await.unwrap_err();
    assert_eq!(failed.failure().reason, Interruption::TimedOut);
    assert!((4..7).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    house.fake.closed_by_client().await;
}

#[tokio::test]
async fn the_same_question_is_paid_for_once() {
    let house = house(&["a"], |_| ()).await;
    let first = house.providers.embed_query("car").await.unwrap();
    assert_eq!(house.providers.embed_query("car").await.unwrap(), first);
    house.providers.embed_query("cars").await.unwrap();
    assert_eq!(house.fake.embedded(), ["car", "cars"]);
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_left_alone() {
    let house = house(&["a"], |config| config.limits.first_token = Duration::from_secs(30)).await;
    house.fake.always("embed", Script::fails(500));
    for _ in 0..4 {
        assert_eq!(reason(&house).await, Interruption::ProviderFailed);
    }
    assert_eq!(house.times(), 5);
    assert_eq!(house.hear().await.text, "You said: how are you?", "who talks is another model");
}
