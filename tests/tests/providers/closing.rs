//! Who listens no longer costs no more.

use std::time::Instant;

use super::*;

/// From the last reader's leaving to the provider's knowing.
const AT_ONCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_answer_that_is_dropped_ends_the_connection_at_once() {
    let house = House::with_fallback(&["key-1"], |_| ()).await;
    for model in ["openai/gpt-4o", "gemini/gemini-x"] {
        house.fake.then(Script::stalls_after(&["Well, "]));
        let mut answer = house.providers.ask(asks(model)).await.unwrap();
        answer.next().await.unwrap();
        let dropped = Instant::now();
        drop(answer);
        let closed = house.fake.closed_by_client().await;
        assert!(closed.at.duration_since(dropped) < AT_ONCE, "{:?}", closed.at.duration_since(dropped));
    }
}

#[tokio::test]
async fn while_it_is_listened_to_as_well() {
    let house = House::new().await;
    house.fake.then(Script::stalls_after(&["Well, "]));
    let mut answer = house.ask().await.unwrap();
    answer.next().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), answer.next()).await.is_err());
    let dropped = Instant::now();
    drop(answer);
    let closed = house.fake.closed_by_client().await;
    assert!(closed.at.duration_since(dropped) < AT_ONCE, "{:?}", closed.at.duration_since(dropped));
}

#[tokio::test]
async fn a_question_that_is_taken_back_ends_the_connection_at_once() {
    let house = House::new().await;
    house.fake.then(Script::silent());
    let asking = tokio::spawn({
        let providers = house.providers.clone();
        async move { providers.ask(asks("openai/gpt-4o")).await.map(drop) }
    });
    house.fake.until_asked(1).await;
    let taken_back = Instant::now();
    asking.abort();
    let closed = house.fake.closed_by_client().await;
    assert!(closed.at.duration_since(taken_back) < AT_ONCE, "{:?}", closed.at.duration_since(taken_back));
}
