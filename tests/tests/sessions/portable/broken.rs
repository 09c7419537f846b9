//! Imports that break off or take too long.

use std::time::Duration;

use api::Patience;
use serde_json::{Value, json};
use tests::app::Options;
use tests::stage::PATIENCE;
use tests::{Persona, Stage, TestApp, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::documents::{document, posted, session_of};
use super::{IMPORT, import};
use crate::json_of;

const NEVER: Duration = Duration::from_hours(1);

/// Three conversations, and how many bytes of them are two.
fn three() -> (Value, String, usize) {
    let sessions: Vec<_> = (1..4).map(|number| session_of(number, json!([posted(number + 10, None, "q")]))).collect();
    let document = document(&sessions);
    let text = document.to_string();
    let third = text.rfind("\"messages\"").unwrap();
    (document, text, third)
}

/// Sends the head of an import, and some of its body.
async fn begin(app: &TestApp, who: &Persona<'_>, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST {IMPORT} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: 999999\r\n\r\n{body}",
        who.token
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

async fn until(who: &Persona<'_>, total: u64) {
    let wait = async { while who.history("").await["total"] != total {} };
    timeout(PATIENCE, wait).await.unwrap();
}

on_both_engines! {
    async fn who_sends_nothing_more_is_told_and_goes_on_later(stage: Stage) {
        let attachment_patience = Patience { idle: Duration::from_millis(500), longest: NEVER };
        let app = TestApp::start(stage, Options { attachment_patience, ..Options::default() }).await;
        let ann = app.user("ann").await;
        let (whole, text, third) = three();
        let mut client = begin(&app, &ann, &text[..third]).await;
        let mut answer = [0; 12];
        timeout(PATIENCE, client.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        until(&ann, 2).await;
        let answer = json_of(import(&ann, &whole, Some("k")).await, 201).await;
        assert_eq!((&answer["sessions"], &answer["messages"]), (&json!(3), &json!(3)));
        assert_eq!(ann.history("").await["total"], 3);
    }

    async fn who_goes_away_goes_on_later(app: TestApp) {
        let ann = app.user("ann").await;
        let (whole, text, third) = three();
        drop(begin(&app, &ann, &text[..third]).await);
        // Until it is noticed the first one goes on still.
        let wait = async {
            loop {
                let answer = import(&ann, &whole, Some("k")).await;
                if answer.status() != 503 {
                    return answer;
                }
            }
        };
        json_of(timeout(PATIENCE, wait).await.unwrap(), 201).await;
        assert_eq!(ann.history("").await["total"], 3);
    }

    async fn nobody_imports_twice_at_once(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (_, text, third) = three();
        let mut client = begin(&app, &ann, &text[..third]).await;
        let wait = async { while import(&ann, &document(&[]), None).await.status() != 503 {} };
        timeout(PATIENCE, wait).await.unwrap();
        assert_eq!(import(&bob, &document(&[]), None).await.status(), 201);
        client.shutdown().await.unwrap();
        let wait = async { while import(&ann, &document(&[]), None).await.status() != 201 {} };
        timeout(PATIENCE, wait).await.unwrap();
    }

    // What belongs to one conversation is held in memory.
    async fn a_conversation_that_is_too_large_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let mut large = session_of(2, json!([]));
        large["padding"] = json!("x".repeat(33 << 20));
        let sessions = [session_of(1, json!([posted(11, None, "q")])), large];
        let answer = json_of(import(&ann, &document(&sessions), None).await, 413).await;
        assert_eq!(answer["code"], "too_large");
    }
}
