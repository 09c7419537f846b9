//! Who sends a file, and takes too long over it.

use std::time::Duration;

use api::Patience;
use serde_json::json;
use tests::app::Options;
use tests::stage::PATIENCE;
use tests::{Stage, TestApp, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout};

use crate::cast::{begin, lies_in, listed, noise, say, until_lies};

const NEVER: Duration = Duration::from_hours(1);

async fn waiting(stage: Stage, idle: Duration, longest: Duration) -> TestApp {
    let attachment_patience = Patience { idle, longest };
    TestApp::start(stage, Options { attachment_patience, ..Options::default() }).await
}

on_both_engines! {
    async fn who_sends_nothing_for_too_long_is_told_and_leaves_nothing(stage: Stage) {
        let idle = Duration::from_millis(500);
        let app = waiting(stage, idle, NEVER).await;
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let since = Instant::now();
        let mut client = begin(&app, &ann.token, &message, &noise(600 << 10)).await;
        let mut answer = [0; 12];
        timeout(PATIENCE, client.read_exact(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        assert!(since.elapsed() >= idle);
        until_lies(&app, &ann, <[String]>::is_empty).await;
        assert_eq!(listed(&ann, &message).await, json!([]));
    }

    // A byte now and then is never nothing.
    async fn who_never_comes_to_an_end_is_told_and_leaves_nothing(stage: Stage) {
        let longest = Duration::from_secs(1);
        let app = waiting(stage, NEVER, longest).await;
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let since = Instant::now();
        let (mut reads, mut writes) = begin(&app, &ann.token, &message, &noise(600 << 10)).await.into_split();
        let drips = async {
            let mut tick = interval(Duration::from_millis(20));
            while writes.write_all(b"x").await.is_ok() {
                tick.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = [0; 12];
        let read = timeout(PATIENCE, reads.read_exact(&mut answer));
        tokio::select! {
            read = read => drop(read.expect("an answer").unwrap()),
            () = drips => {}
        }
        assert_eq!(&answer, b"HTTP/1.1 408");
        assert!(since.elapsed() >= longest);
        until_lies(&app, &ann, <[String]>::is_empty).await;
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
        assert_eq!(listed(&ann, &message).await, json!([]));
    }
}
