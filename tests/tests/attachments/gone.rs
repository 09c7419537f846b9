//! Bytes go when what they belong to has gone, and not before.

use std::time::Duration;

use domain::Timestamp;
use domain::chat::attachment::AttachedTo;
use reqwest::Method;
use serde_json::json;
use tests::scribe::Scribe;
use tests::{Stage, TestApp, on_both_engines};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::cast::{Asks, BOUNDARY, attach, begin, delete, file, get, lies_in, listed, noise, path_of, say, until_lies};

/// Files are as old as the system says, whatever the test's clock.
fn now() -> Timestamp {
    store::Clock::System.now()
}

/// A moment before which all was that is there.
fn later() -> Timestamp {
    now().plus_seconds(60)
}

on_both_engines! {
    async fn what_is_deleted_is_gone_at_once_with_its_bytes(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let (gone, kept) = (attach(&ann, &message, "f", b"a").await, attach(&ann, &message, "g", b"b").await);
        assert_eq!(delete(&ann, &path_of(&gone)).await, 204);
        assert_eq!(delete(&ann, &path_of(&gone)).await, 404);
        assert_eq!(get(&ann, &path_of(&gone)).await.status(), 404);
        assert_eq!(listed(&ann, &message).await, json!([kept]));
        assert_eq!(lies_in(&app.stage.folder().join("files")), [kept["id"].as_str().unwrap()]);
    }

    async fn files_go_with_their_message_their_conversation_and_the_history(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let (_, session) = say(&ann).await;
        let of_message = attach(&ann, &message, "f", b"a").await;
        let of_session = {
            let added = ann.ask(Method::POST, &format!("/api/v1/sessions/{session}/messages"));
            let added = added.json(&json!({"content": "and this"})).send().await.unwrap();
            let added: serde_json::Value = added.json().await.unwrap();
            attach(&ann, added["message_id"].as_str().unwrap(), "f", b"a").await
        };
        assert_eq!(delete(&ann, &format!("/api/v1/messages/{message}")).await, 200);
        assert_eq!(get(&ann, &path_of(&of_message)).await.status(), 404);
        assert_eq!(delete(&ann, &path_of(&of_message)).await, 404);
        assert_eq!(get(&ann, &format!("/api/v1/messages/{message}/attachments")).await.status(), 404);
        assert_eq!(get(&ann, &path_of(&of_session)).await.status(), 200);
        assert_eq!(delete(&ann, &format!("/api/v1/sessions/{session}")).await, 200);
        assert_eq!(get(&ann, &path_of(&of_session)).await.status(), 404);
        assert_eq!(delete(&ann, &path_of(&of_session)).await, 404);
        let (message, _) = say(&ann).await;
        let of_history = attach(&ann, &message, "f", b"a").await;
        assert_eq!(delete(&ann, "/api/v1/chat/history").await, 200);
        assert_eq!(get(&ann, &path_of(&of_history)).await.status(), 404);
        // Their bytes are swept.
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 3);
        let swept = app.files.sweep(&app.stage.log, &app.read_models.history, later()).await.unwrap();
        assert_eq!((swept, lies_in(&app.stage.folder().join("files"))), (3, Vec::new()));
    }

    async fn what_nobody_knows_is_swept_when_it_is_old_and_nothing_else(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let mut known: Vec<String> = Vec::new();
        for n in 0..3 {
            known.push(attach(&ann, &message, &format!("f{n}"), b"a").await["id"].as_str().unwrap().to_owned());
        }
        let folder = app.stage.folder().join("files");
        let orphan = store::fresh_id::<uuid::Uuid>().to_string();
        let (piece, foreign) = (format!("{orphan}#1"), "notes.txt");
        for name in [&orphan, &piece, foreign] {
            std::fs::write(folder.join(name), b"left").unwrap();
        }
        let sweep = async |before| app.files.sweep(&app.stage.log, &app.read_models.history, before).await.unwrap();
        assert_eq!(sweep(now().plus_seconds(-3_600)).await, 0, "too young");
        assert_eq!(lies_in(&folder).len(), 6);
        // One at a time.
        let lease = app.stage.lease("files").await.unwrap();
        assert_eq!((sweep(later()).await, lies_in(&folder).len()), (0, 6));
        lease.release().await;
        assert_eq!(sweep(later()).await, 1);
        let mut left = [&known[..], &[foreign.to_owned()]].concat();
        left.sort();
        assert_eq!(lies_in(&folder), left);
        assert_eq!(sweep(later()).await, 0);
    }

    // It would take all that was added lately for orphans.
    async fn nothing_is_swept_by_a_history_that_lags(stage: Stage) {
        let history = stage.history().await;
        let folder = stage.folder().join("files");
        std::fs::create_dir(&folder).unwrap();
        let files = api::Files::open(api::Place::Folder(folder.clone()), 1).unwrap();
        let (owner, mut scribe) = (store::fresh_id(), Scribe::new(&stage.log));
        let conversation = scribe.start(owner).await;
        let message = scribe.post(owner, conversation, "see this").await;
        let file = scribe.attach(AttachedTo { owner, conversation, message }).await.to_string();
        std::fs::write(folder.join(&file), b"a plan").unwrap();
        assert_eq!(files.sweep(&stage.log, &history, later()).await.unwrap(), 0);
        assert_eq!(lies_in(&folder), [file.as_str()]);
        stage.relay();
        stage.project(&history);
        stage.settle(&history).await;
        assert_eq!(files.sweep(&stage.log, &history, later()).await.unwrap(), 0);
        assert_eq!(lies_in(&folder), [file.as_str()]);
        scribe.delete(owner, conversation).await;
        assert_eq!(files.sweep(&stage.log, &history, later()).await.unwrap(), 1);
        assert!(lies_in(&folder).is_empty());
    }

    async fn a_client_that_goes_half_way_leaves_nothing(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let client = begin(&app, &ann.token, &message, &noise(600 << 10)).await;
        until_lies(&app, &ann, |names| names.len() == 1 && names[0].contains('#')).await;
        drop(client);
        until_lies(&app, &ann, <[String]>::is_empty).await;
        assert_eq!(listed(&ann, &message).await, json!([]));
    }

    async fn a_message_that_goes_meanwhile_gets_no_file(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let bytes = noise(600 << 10);
        let mut client = begin(&app, &ann.token, &message, &bytes).await;
        until_lies(&app, &ann, |names| names.len() == 1 && names[0].contains('#')).await;
        assert_eq!(delete(&ann, &format!("/api/v1/messages/{message}")).await, 200);
        let rest = 999_999 - file("f", &bytes).len();
        // The end of the form, and whatever follows it.
        let end = format!("--{BOUNDARY}--\r\n");
        let padding = vec![b' '; rest - end.len()];
        client.write_all(&[end.as_bytes(), &padding].concat()).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::io::AsyncReadExt::read_exact(&mut client, &mut answer);
        timeout(Duration::from_secs(20), read).await.expect("an answer").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        until_lies(&app, &ann, <[String]>::is_empty).await;
    }
}
