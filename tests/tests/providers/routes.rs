//! Who stands in for whom.

use super::*;

/// So often a model fails before it is left alone.
const FAILURES: usize = 5;

#[tokio::test]
async fn where_a_provider_fails_the_next_of_the_route_answers_and_says_so() {
    let refusals = [401, 402, 403, 429].map(Script::fails);
    for script in [Script::fails(503), Script::garbage(), Script::rate_limited(60)].into_iter().chain(refusals) {
        let house = House::with_fallback(&["key-1"], |_| ()).await;
        house.fake.always("gpt-4o", script.clone());
        let heard = house.hear().await;
        let answered = (heard.model.as_str(), heard.text.as_str());
        assert_eq!(answered, ("groq/llama", "You said: how are you?"), "{script:?}");
        assert_eq!(house.presented().last().unwrap(), "llama key-of-groq");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_provider_that_asks_for_a_pause_while_another_can_answer() {
    for status in [429, 503] {
        let house = House::with_fallback(&["key-1"], |_| ()).await;
        house.fake.always("gpt-4o", Script::fails(status).header("retry-after", "5"));
        let begun = std::time::Instant::now();
        assert_eq!(house.hear().await.model, "groq/llama", "{status}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{status}: {:?}", begun.elapsed());
        assert_eq!(house.presented(), ["gpt-4o key-1", "llama key-of-groq"], "{status}");
    }
}

#[tokio::test]
async fn the_last_of_a_route_is_waited_for() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    house.then_all([Script::fails(401), Script::rate_limited(1), Script::rate_limited(1)]);
    let begun = std::time::Instant::now();
    assert_eq!(house.hear().await.model, "gemini/gemini-x");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    let asked: Vec<_> = house.fake.asked().into_iter().map(|asked| asked.model).collect();
    assert_eq!(asked, ["gpt-4o", "llama", "gemini-x", "gemini-x"]);
}

#[tokio::test]
async fn where_a_provider_is_silent_or_away_the_next_of_the_route_answers() {
    let silent = House::with_fallback(&["key-1"], |config| config.limits.first_token = SOON).await;
    silent.fake.always("gpt-4o", Script::silent());
    assert_eq!(silent.hear().await.model, "groq/llama");
    let gone = FakeProvider::start().await.openai_url();
    let away = House::with_fallback(&["key-1"], |config| {
        config.providers[0].base_url = Some(gone.parse().unwrap());
    });
    let away = away.await;
    assert_eq!(away.hear().await.model, "groq/llama");
    assert_eq!(away.presented(), ["llama key-of-groq"]);
}

#[tokio::test]
async fn a_route_is_followed_to_its_end() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    for model in ["gpt-4o", "llama"] {
        house.fake.always(model, Script::fails(500));
    }
    assert_eq!(house.hear().await.model, "gemini/gemini-x");
    house.fake.always("gemini-x", Script::rate_limited(70));
    let failure = house.refused().await;
    assert_eq!(failure.reason, Interruption::RateLimited, "it says when to come back");
    assert!(failure.retry_after.unwrap() > Duration::from_mins(1));
    for model in ["openai/gpt-4o", "groq/llama", "gemini/gemini-x"] {
        assert!(failure.detail.contains(model), "{}", failure.detail);
    }
}

#[tokio::test]
async fn a_model_that_fails_again_and_again_is_left_alone_and_the_others_are_not() {
    let house = House::new().await;
    house.fake.always("gpt-4o", Script::fails(500));
    for _ in 0..4 {
        assert_eq!(house.refused().await.reason, Interruption::ProviderFailed);
    }
    assert_eq!(house.times(), FAILURES);
    let other = house.providers.ask(asks("openai/gpt-5")).await.unwrap();
    assert_eq!(all(other).await.end.unwrap().1, FinishReason::Stop);
}

#[tokio::test]
async fn a_model_that_breaks_off_again_and_again_is_left_alone_as_well() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    house.fake.always("gpt-4o", Script::cut_after(&["Well, "]));
    let mut models = Vec::new();
    for _ in 0..=FAILURES {
        models.push(house.hear().await.model);
    }
    assert_eq!(models.last().unwrap(), "groq/llama", "{models:?}");
    assert_eq!(models.iter().filter(|model| *model == "openai/gpt-4o").count(), FAILURES);
}

#[tokio::test]
async fn what_is_not_configured_is_refused() {
    let house = House::new().await;
    for model in ["groq/llama", "gpt-4o", "openai/../models", ""] {
        let failure = house.providers.ask(asks(model)).await.err().unwrap();
        assert_eq!(failure.reason, Interruption::ProviderRefused, "{model}");
    }
    assert_eq!(house.times(), 0);
}
