//! Connections: who closed which, when that was noticed, and how many answers one of them carries.

use std::time::{Duration, Instant};

use reqwest::Client;
use tests::FakeProvider;
use tests::fake_provider::{PATIENCE, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ask::{drain, next_text, openai, question};

/// How soon a provider has to notice that its client has gone; it is a few milliseconds where the cores are free.
const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_closed_socket_is_noticed_at_once_while_nothing_is_said() {
    let provider = FakeProvider::start().await;
    provider.then(Script::stalls_after(&["Hello"]));
    let mut response = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    assert_eq!(next_text(&mut response).await, "Hello");
    let left = leave(response);
    let closed = provider.closed_by_client().await;

    let late = closed.at.saturating_duration_since(left);
    assert!(late < SOON, "{late:?}");
    assert_eq!((closed.asked.number, closed.said.as_str(), provider.open()), (0, "Hello", 0));
}

#[tokio::test]
async fn a_closed_socket_is_noticed_before_there_is_a_head() {
    let provider = FakeProvider::start().await;
    for (number, stream) in [true, false].into_iter().enumerate() {
        provider.then(Script::silent());
        let asking = tokio::spawn(openai(&provider, "gpt-4o-mini", stream).send());
        provider.until_asked(number + 1).await;
        let left = Instant::now();
        asking.abort();
        let closed = provider.closed_by_client().await;
        assert!(closed.at.saturating_duration_since(left) < SOON);
        assert_eq!((closed.asked.number, closed.asked.stream, provider.open()), (number, stream, 0));
    }
}

#[tokio::test]
async fn a_closed_socket_is_noticed_while_much_is_being_written() {
    let provider = FakeProvider::start().await;
    provider.then(Script::huge(32 << 20));
    let mut response = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    let left = leave(response);
    let closed = provider.closed_by_client().await;
    assert!(closed.at.saturating_duration_since(left) < SOON);
    assert!(closed.said.len() < 32 << 20);
}

#[tokio::test]
async fn an_answer_that_was_given_is_not_closed_by_its_client() {
    let provider = FakeProvider::start().await;
    openai(&provider, "whole", true).send().await.unwrap().text().await.unwrap();
    provider.until_open(0).await;
    provider.then(Script::stalls_after(&["Hel"]));
    let mut response = openai(&provider, "left", true).send().await.unwrap();
    next_text(&mut response).await;
    drop(response);
    assert_eq!(provider.closed_by_client().await.asked.model, "left");
}

#[tokio::test]
async fn one_connection_carries_many_answers() {
    let provider = FakeProvider::start().await;
    let url = provider.openai_url();
    let address = url.trim_start_matches("http://").trim_end_matches("/v1/");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let body = question("gpt-4o-mini", true).to_string();
    let length = body.len();
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
    connection.write_all(request.repeat(3).as_bytes()).await.unwrap();

    let mut said = Vec::new();
    while said.windows(5).filter(|bytes| bytes == b"0\r\n\r\n").count() < 3 {
        assert_ne!(timeout(PATIENCE, connection.read_buf(&mut said)).await.unwrap().unwrap(), 0);
    }
    assert_eq!(String::from_utf8(said).unwrap().matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(provider.asked().len(), 3);
}

#[tokio::test]
async fn dropping_the_provider_breaks_what_it_says() {
    let provider = FakeProvider::start().await;
    provider.then(Script::stalls_after(&["Hel"]));
    let mut response = openai(&provider, "gpt-4o-mini", true).send().await.unwrap();
    next_text(&mut response).await;
    let url = provider.openai_url();
    drop(provider);
    assert!(timeout(PATIENCE, drain(&mut response)).await.unwrap().1.is_err());
    assert!(Client::new().get(url + "models").send().await.unwrap_err().is_connect());
}

/// Ends something at a moment that is known.
fn leave<T>(what: T) -> Instant {
    let at = Instant::now();
    drop(what);
    at
}
