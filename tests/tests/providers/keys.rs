//! The pool of a provider's keys.

use tests::fake_provider::Step;

use super::*;

#[tokio::test]
async fn keys_are_presented_in_turn() {
    let house = House::with(&["a", "b"], |_, _| ()).await;
    for _ in 0..3 {
        house.hear().await;
    }
    assert_eq!(house.presented(), ["gpt-4o a", "gpt-4o b", "gpt-4o a"]);
}

#[tokio::test]
async fn a_key_that_is_not_accepted_gives_way_to_the_next_and_stays_away_whatever_the_model() {
    let house = House::with(&["a", "b"], |_, _| ()).await;
    house.fake.then(Script::fails(401));
    for model in ["openai/gpt-4o", "openai/gpt-4o", "openai/gpt-5"] {
        let answer = house.providers.ask(asks(model)).await.unwrap();
        assert_eq!(all(answer).await.text, "You said: how are you?");
    }
    assert_eq!(house.presented(), ["gpt-4o a", "gpt-4o b", "gpt-4o b", "gpt-5 b"]);
}

#[tokio::test]
async fn a_key_that_refuses_one_request_gives_way_to_the_next_and_serves_other_models_as_before() {
    for status in [402, 403] {
        let house = House::with(&["a", "b"], |_, _| ()).await;
        house.fake.then(Script::fails(status));
        for model in ["openai/gpt-4o", "openai/gpt-4o", "openai/gpt-5", "openai/gpt-4o"] {
            let answer = house.providers.ask(asks(model)).await.unwrap();
            assert_eq!(all(answer).await.text, "You said: how are you?");
        }
        let presented = ["gpt-4o a", "gpt-4o b", "gpt-4o b", "gpt-5 a", "gpt-4o b"];
        assert_eq!(house.presented(), presented, "{status}");
    }
}

#[tokio::test]
async fn what_one_request_is_refused_for_is_not_the_next_ones_fault() {
    for status in [402, 403] {
        let house = House::with(&["a", "b"], |_, _| ()).await;
        house.then_all([Script::fails(status), Script::fails(status)]);
        assert_eq!(house.refused().await.reason, Interruption::ProviderRefused);
        assert_eq!(house.presented(), ["gpt-4o a", "gpt-4o b"], "each key once, and nobody waits");
        assert_eq!(house.hear().await.text, "You said: how are you?", "{status}");
    }
}

/// As Google words it: the status is that of a request which can't be read.
#[tokio::test]
async fn a_key_that_gemini_does_not_accept_gives_way_to_the_next() {
    let house = House::with(&["a"], |fake, config| {
        config.providers.push(provider("gemini", &["b", "c"], &fake.gemini_url()));
    });
    let house = house.await;
    let details = r#"[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]"#;
    let error = format!(r#"{{"error": {{"code": 400, "status": "INVALID_ARGUMENT", "details": {details}}}}}"#);
    house.fake.then(Script { status: 400, ..Script::of(vec![Step::Raw(error.into_bytes())]) });
    for _ in 0..2 {
        let answer = house.providers.ask(asks("gemini/gemini-x")).await.unwrap();
        assert_eq!(all(answer).await.text, "You said: how are you?");
    }
    assert_eq!(house.presented(), ["gemini-x b", "gemini-x c", "gemini-x c"]);
}

#[tokio::test]
async fn a_key_at_its_limit_gives_way_to_the_next_at_once() {
    let house = House::with(&["a", "b"], |_, _| ()).await;
    house.fake.then(Script::rate_limited(60));
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        house.hear().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(house.presented(), ["gpt-4o a", "gpt-4o b", "gpt-4o b"]);
}

#[tokio::test]
async fn without_any_key_that_is_accepted_the_request_is_refused() {
    let house = House::with(&["a", "b"], |_, _| ()).await;
    house.then_all([Script::fails(401), Script::fails(401)]);
    for _ in 0..2 {
        assert_eq!(house.refused().await.reason, Interruption::ProviderRefused);
    }
    assert_eq!(house.times(), 2, "nobody is bothered with keys that don't open");
}

#[tokio::test]
async fn of_several_keys_at_their_limits_the_first_that_is_back_counts() {
    let house = House::with(&["a", "b"], |_, _| ()).await;
    house.then_all([Script::rate_limited(90), Script::rate_limited(40)]);
    let seconds = house.refused().await.retry_after.unwrap().as_secs();
    assert!((38..=40).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_limit_of_one_model_is_not_another_models() {
    let house = House::with(&["a"], |_, _| ()).await;
    house.fake.then(Script::rate_limited(60));
    assert_eq!(house.refused().await.reason, Interruption::RateLimited);
    let other = house.providers.ask(asks("openai/gpt-5")).await.unwrap();
    assert_eq!(all(other).await.text, "You said: how are you?");
    assert_eq!(house.presented(), ["gpt-4o a", "gpt-5 a"]);
}
