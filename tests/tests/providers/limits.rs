//! How long an answer may take, how much it may say, and how it may end.

use std::time::Instant;

use tests::fake_provider::Step;

use super::*;

async fn limited(set: impl FnOnce(&mut Limits)) -> House {
    House::with(&["key-1"], |_, config| set(&mut config.limits)).await
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_not_waited_for() {
    let house = limited(|limits| limits.first_token = SOON).await;
    house.fake.then(Script::silent());
    let begun = Instant::now();
    assert_eq!(house.refused().await.reason, Interruption::TimedOut);
    assert!(begun.elapsed() >= SOON && begun.elapsed() < SOON * 5, "{:?}", begun.elapsed());
    house.fake.closed_by_client().await;
    assert_eq!(house.times(), 1, "its time is over");
}

#[tokio::test]
async fn headers_are_no_token() {
    let house = limited(|limits| limits.first_token = SOON).await;
    house.fake.then(Script::of(vec![Step::Head, Step::Text(String::new()), Step::Gate]));
    assert_eq!(house.refused().await.reason, Interruption::TimedOut);
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_left_with_its_words_kept() {
    let house = limited(|limits| limits.idle = SOON).await;
    house.fake.then(Script::stalls_after(&["Well, "]));
    let heard = house.hear().await;
    assert_eq!((heard.text.as_str(), heard.end), ("Well, ", Err(Interruption::TimedOut)));
    assert_eq!(house.fake.closed_by_client().await.said, "Well, ");
}

#[tokio::test]
async fn one_that_speaks_slowly_is_not_silent() {
    let house = limited(|limits| limits.idle = SOON).await;
    house.fake.then(Script::ticking(5, SOON / 2));
    assert_eq!(house.hear().await.end.unwrap().1, FinishReason::Stop);
}

#[tokio::test]
async fn silence_is_counted_though_the_listener_comes_and_goes() {
    let house = limited(|limits| limits.idle = SOON).await;
    house.fake.then(Script::stalls_after(&["Well, "]));
    let mut answer = house.ask().await.unwrap();
    answer.next().await.unwrap();
    let failure = loop {
        if let Ok(heard) = tokio::time::timeout(SOON / 8, answer.next()).await {
            break heard.unwrap_err();
        }
    };
    assert_eq!(failure.reason, Interruption::TimedOut);
}

#[tokio::test]
async fn an_answer_does_not_go_on_for_ever() {
    let house = limited(|limits| limits.total = SOON * 2).await;
    house.fake.then(Script::ticking(1_000, SOON / 10));
    let heard = house.hear().await;
    assert_eq!(heard.end, Err(Interruption::TimedOut));
    assert!(heard.text.starts_with("tick tick "), "{}", heard.text);
    house.fake.closed_by_client().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_cut_at_the_limit() {
    let house = limited(|limits| limits.reply_bytes = 100_000).await;
    house.fake.then(Script::huge(10 << 20));
    let heard = house.hear().await;
    assert_eq!((heard.text.len(), heard.end), (100_000, Err(Interruption::TooLong)));
    house.fake.closed_by_client().await;
}

#[tokio::test]
async fn an_answer_is_cut_between_letters() {
    let house = limited(|limits| limits.reply_bytes = 4).await;
    house.fake.then(Script::says(&["äöü"]));
    let heard = house.hear().await;
    assert_eq!((heard.text.as_str(), heard.end), ("äö", Err(Interruption::TooLong)));
    house.fake.then(Script::says(&["äö"]));
    assert_eq!(house.hear().await.end.unwrap().1, FinishReason::Stop, "as long as may be is not too long");
}

#[tokio::test]
async fn an_answer_that_ends_without_an_end_is_truncated() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    for model in ["openai/gpt-4o", "gemini/gemini-x"] {
        for script in [Script::truncated_after(&["Well, "]), Script::cut_after(&["Well, "])] {
            house.fake.then(script);
            let heard = all(house.providers.ask(asks(model)).await.unwrap()).await;
            assert_eq!((heard.text.as_str(), heard.end), ("Well, ", Err(Interruption::Truncated)), "{model}");
        }
    }
}

#[tokio::test]
async fn what_fails_after_the_first_word_is_not_tried_again() {
    let house = House::with_fallback(&["key-1", "key-2"], |_| ()).await;
    let error = r#"data: {"error": {"message": "overloaded", "code": 503}}"#;
    let limit = r#"data: {"error": {"message": "slow down", "code": 429}}"#;
    for (said, reason) in [
        ("data: }{", Interruption::ProviderFailed),
        (error, Interruption::ProviderFailed),
        (limit, Interruption::RateLimited),
    ] {
        let raw = Step::Raw(format!("{said}\n\n").into_bytes());
        house.fake.then(Script::says(&["Well, "]).with(1, raw));
        let (before, heard) = (house.times(), house.hear().await);
        assert_eq!((heard.text.as_str(), heard.end), ("Well, ", Err(reason)));
        assert_eq!((heard.model.as_str(), house.times()), ("openai/gpt-4o", before + 1));
    }
}

/// Reading such a thing is more work the longer it is: nobody waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_never_ends_is_given_up_long_before_the_deadline() {
    for said in [&[][..], &["Well, "]] {
        let house = House::new().await;
        let mut script = Script::says(said).with(said.len(), Step::Gate);
        script.steps = [script.steps, Script::endless_line(64 << 20).steps].concat();
        script.steps.retain(|step| !matches!(step, Step::Gate));
        house.fake.always("gpt-4o", script);
        let begun = Instant::now();
        let reason = match house.ask().await {
            Ok(answer) => all(answer).await.end.unwrap_err(),
            Err(failure) => failure.reason,
        };
        assert_eq!(reason, Interruption::ProviderFailed);
        assert!(begun.elapsed() < LATER, "{:?}", begun.elapsed());
        assert!(house.fake.closed_by_client().await.said.len() < 20, "what is said is not what is sent");
    }
}
