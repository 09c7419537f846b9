//! Before the first word: what is tried again, and when.

use std::time::Instant;

use tests::fake_provider::Step;

use super::*;

#[tokio::test]
async fn a_provider_that_fails_is_tried_three_times() {
    let house = House::new().await;
    house.then_all([Script::fails(503), Script::fails(500)]);
    assert_eq!(house.hear().await.text, "You said: how are you?");
    assert_eq!(house.times(), 3);
}

#[tokio::test]
async fn and_no_more_than_three_times() {
    let house = House::new().await;
    house.then_all([Script::fails(503), Script::fails(502), Script::fails(504)]);
    let failure = house.refused().await;
    assert_eq!((failure.reason, house.times()), (Interruption::ProviderFailed, 3));
    assert!(failure.detail.starts_with("openai/gpt-4o: status 504"), "{}", failure.detail);
}

#[tokio::test]
async fn whatever_breaks_before_the_first_word_is_tried_again() {
    let broken = [
        Script::of(vec![Step::Cut]),
        Script::of(vec![Step::Head, Step::Cut]),
        Script::garbage(),
        Script::of(vec![Step::Truncate]),
        Script::of(vec![Step::Raw(b"data: {\"error\": {\"code\": 503}}\n\n".to_vec())]),
        Script::fails(408),
    ];
    for script in broken {
        let house = House::new().await;
        house.fake.then(script.clone());
        let heard = house.hear().await;
        assert_eq!((heard.text.as_str(), house.times()), ("You said: how are you?", 2), "{script:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_refused_everywhere() {
    for status in [302, 400, 404, 413, 422] {
        let house = House::with_fallback(&["key-1", "key-2"], |_| ()).await;
        house.fake.then(Script::fails(status));
        let failure = house.refused().await;
        assert_eq!((failure.reason, house.times()), (Interruption::ProviderRefused, 1), "{status}");
    }
}

#[tokio::test]
async fn a_provider_that_says_when_to_come_back_is_obeyed() {
    for status in [429, 503] {
        let house = House::new().await;
        house.fake.then(Script::fails(status).header("retry-after", "1"));
        let begun = Instant::now();
        assert_eq!(house.hear().await.text, "You said: how are you?");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(1), "{status}: {waited:?}");
        assert_eq!(house.times(), 2);
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_to_the_asker() {
    let house = House::new().await;
    house.fake.then(Script::rate_limited(60));
    let begun = Instant::now();
    for _ in 0..2 {
        let failure = house.refused().await;
        assert_eq!(failure.reason, Interruption::RateLimited);
        let seconds = failure.retry_after.unwrap().as_secs();
        assert!((58..=60).contains(&seconds), "{seconds}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(house.times(), 1, "the key cools, and is not presented again");
}

#[tokio::test]
async fn a_limit_without_a_time_cools_the_key_for_half_a_minute() {
    let house = House::new().await;
    house.fake.then(Script::fails(429));
    let seconds = house.refused().await.retry_after.unwrap().as_secs();
    assert!((28..=30).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn one_that_is_always_ready_at_once_and_never_answers_is_not_asked_without_end() {
    let house = House::with(&["key-1", "key-2"], |_, _| ()).await;
    house.fake.always("gpt-4o", Script::rate_limited(0));
    assert_eq!(house.refused().await.reason, Interruption::RateLimited);
    assert!(house.times() <= 9, "{}", house.times());
}
