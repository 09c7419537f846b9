//! Scripts: cuts, truncations, floods, gates, silence and pace.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tests::FakeProvider;
use tests::fake_provider::{PATIENCE, Script, Step, micros};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ask::{drain, next_text, openai, question, text};

#[tokio::test]
async fn a_cut_breaks_the_body_and_a_truncation_ends_it_in_order() {
    let provider = FakeProvider::start().await;
    for stream in [true, false] {
        provider.then(Script::cut_after(&["Hel", "lo"]));
        let mut cut = openai(&provider, "gpt-4o-mini", stream).send().await.unwrap();
        let (said, ended) = drain(&mut cut).await;
        assert!(ended.is_err(), "{said}");
        assert!(!stream || said.contains("Hel"), "what was said before the cut arrives: {said}");
    }
    provider.then(Script::truncated_after(&["Hel", "lo"]));
    let mut short = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    let (said, ended) = drain(&mut short).await;
    assert!(ended.is_ok() && said.contains("lo") && !said.contains("[DONE]") && !said.contains("stop"), "{said}");
    provider.then(Script::truncated_after(&["Hello"]));
    let short = openai(&provider, "gpt-4o-mini", false).send().await.unwrap();
    assert!(short.json::<Value>().await.unwrap_err().is_decode());

    provider.then(Script::of(vec![Step::Cut]));
    assert!(openai(&provider, "gpt-4o-mini", true).send().await.unwrap_err().status().is_none());
    provider.until_open(0).await;
}

#[tokio::test]
async fn garbage_and_floods_come_as_they_are() {
    let provider = FakeProvider::start().await;
    provider.then(Script::garbage().header("Content-Type", "text/html"));
    let garbage = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    assert_eq!(garbage.headers().get_all("content-type").iter().collect::<Vec<_>>(), ["text/html"]);
    assert_eq!(garbage.text().await.unwrap(), "data: }{ this is not JSON\n\n");
    provider.then(Script::garbage());
    assert!(openai(&provider, "gpt-4o-mini", false).send().await.unwrap().json::<Value>().await.is_err());

    let size = 3_000_001;
    provider.then(Script::huge(size));
    let body = openai(&provider, "gpt-4o-mini", true).send().await.unwrap().text().await.unwrap();
    assert_eq!(text(&body).len(), size);
    provider.then(Script::endless_line(size));
    let body = openai(&provider, "gpt-4o-mini", true).send().await.unwrap().text().await.unwrap();
    assert!(body.len() == size && !body.contains('\n'));
}

#[tokio::test]
async fn a_gate_holds_until_the_release_and_each_release_opens_one() {
    let provider = FakeProvider::start().await;
    let text = |text: &str| Step::Text(text.to_owned());
    provider.then(Script::of(vec![
        text("one"),
        Step::Gate,
        text("two"),
        Step::Gate,
        text("three"),
        Step::Finish("stop"),
    ]));
    let mut response = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();

    assert_eq!(next_text(&mut response).await, "one");
    assert_eq!(provider.open(), 1);
    provider.release();
    assert_eq!(next_text(&mut response).await, "two");
    assert_eq!(provider.open(), 1);
    provider.release();
    assert_eq!(next_text(&mut response).await, "three");
    assert!(drain(&mut response).await.1.is_ok());
    provider.until_open(0).await;
}

#[tokio::test]
async fn a_silent_provider_sends_no_head_before_it_is_released() {
    let provider = FakeProvider::start().await;
    provider.then(Script::silent());
    let asking = tokio::spawn(openai(&provider, "gpt-4o-mini", true).send());
    provider.until_asked(1).await;
    provider.until_open(1).await;
    assert!(!asking.is_finished());
    provider.release();
    let response = timeout(PATIENCE, asking).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn many_clocked_streams_keep_their_pace_side_by_side() {
    const STREAMS: usize = 200;
    let provider = FakeProvider::start().await;
    provider.always("clock", Script::clocked(10, Duration::from_millis(20)));
    let (mut streams, client) = (JoinSet::new(), Client::new());
    for _ in 0..STREAMS {
        let request = client.post(provider.openai_url() + "chat/completions").json(&question("clock", true));
        streams.spawn(async move {
            let body = request.send().await.unwrap().text().await.unwrap();
            let said: Vec<u64> = text(&body).split_whitespace().map(|at| at.parse().unwrap()).collect();
            assert!(said.iter().all(|at| *at <= micros()), "{said:?}");
            assert!(said.windows(2).all(|pair| pair[1] - pair[0] >= 20_000), "{said:?}");
            said.len()
        });
    }
    let deltas = timeout(PATIENCE, streams.join_all()).await.unwrap();
    assert_eq!(deltas, [10; STREAMS]);
}
