//! What is asked, and what is heard, in each vendor's own language.

use serde_json::json;
use tests::fake_provider::Step;

use super::*;

const SAID: &[&str] = &["I am ", "fine, ", "thank you."];

#[tokio::test]
async fn an_answer_comes_piece_by_piece_with_usage_and_an_end() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    for model in ["openai/gpt-4o", "gemini/gemini-x"] {
        house.fake.then(Script::says(SAID));
        let heard = all(house.providers.ask(asks(model)).await.unwrap()).await;
        let usage = Some(TokensUsed { prompt: 7, completion: 3 });
        let (model, text) = (model.to_owned(), SAID.concat());
        assert_eq!(heard, Heard { model, text, end: Ok((usage, FinishReason::Stop)) });
    }
}

#[tokio::test]
async fn what_is_asked_arrives_as_it_was_meant() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    for model in ["openai/gpt-4o", "gemini/gemini-x"] {
        all(house.providers.ask(asks(model)).await.unwrap()).await;
    }
    assert_eq!(house.presented(), ["gpt-4o key-1", "gemini-x key-of-gemini"]);
    for asked in house.fake.asked() {
        let said = |role: &str, content: &str| json!({"role": role, "content": content});
        let turns = [
            said("system", "Be brief."),
            said("user", "hello"),
            said("assistant", "Hello!"),
            said("user", "how are you?"),
        ];
        assert_eq!(asked.messages, json!(turns));
        assert_eq!((asked.stream, asked.max_tokens, asked.temperature), (true, Some(64), Some(0.7)));
    }
}

#[tokio::test]
async fn a_models_reason_to_end_is_kept() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    let reasons = [("length", FinishReason::Length), ("content_filter", FinishReason::ContentFilter)];
    for model in ["openai/gpt-4o", "gemini/gemini-x"] {
        for (word, finish) in reasons {
            house.fake.then(Script::of(vec![Step::Text("a".to_owned()), Step::Finish(word)]));
            let heard = all(house.providers.ask(asks(model)).await.unwrap()).await;
            assert_eq!(heard.end.unwrap().1, finish, "{model}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_word_has_an_end() {
    let house = House::new().await;
    house.fake.then(Script::says(&[]));
    let heard = house.hear().await;
    assert_eq!((heard.text.as_str(), heard.end.unwrap().1), ("", FinishReason::Stop));
}

#[tokio::test]
async fn a_model_at_home_is_asked_without_a_key_and_by_its_own_name() {
    let house =
        House::with(&["key-1"], |fake, config| config.providers = vec![provider("mine", &[], &fake.openai_url())])
            .await;
    for model in ["qwen-max", "llama3.2:1b", "meta-llama/Llama-3-high"] {
        all(house.providers.ask(asks(&format!("mine/{model}"))).await.unwrap()).await;
    }
    let expected = ["qwen-max no key", "llama3.2:1b no key", "meta-llama/Llama-3-high no key"];
    assert_eq!(house.presented(), expected);
}

#[tokio::test]
async fn a_piece_is_heard_as_soon_as_it_is_said() {
    let house = House::new().await;
    house.fake.then(Script::stalls_after(&["Well, "]));
    let mut answer = house.ask().await.unwrap();
    assert_eq!(answer.next().await.unwrap(), Piece::Text("Well, ".to_owned()));
    assert_eq!(house.fake.open(), 1, "it is still speaking");
    house.fake.release();
    assert_eq!(all(answer).await.end.unwrap().1, FinishReason::Stop);
}

#[tokio::test]
async fn listening_may_be_given_up_and_taken_up_again() {
    let house = House::new().await;
    let mut script = Script::says(&["a", "b", "c"]);
    script.steps.insert(1, Step::Gate);
    house.fake.then(script);
    let mut answer = house.ask().await.unwrap();
    assert_eq!(answer.next().await.unwrap(), Piece::Text("a".to_owned()));
    for _ in 0..5 {
        let waited = tokio::time::timeout(Duration::from_millis(20), answer.next()).await;
        assert!(waited.is_err(), "nothing is said yet");
    }
    house.fake.release();
    assert_eq!(all(answer).await.text, "bc");
}

#[tokio::test]
async fn after_the_end_there_is_nothing_more() {
    let house = House::new().await;
    let mut answer = house.ask().await.unwrap();
    while !matches!(answer.next().await.unwrap(), Piece::Done { .. }) {}
    assert!(answer.next().await.is_err());
}
