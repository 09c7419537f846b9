//! A file that is sent again under one name is one file, and no other takes its place.

use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tests::{TestApp, on_both_engines};

use crate::cast::{attach, delete, file, form, get, lies_in, listed, noise, path_of, say, send_as};

async fn made(answer: Response) -> Value {
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

async fn refused(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

on_both_engines! {
    async fn a_file_that_is_sent_again_is_one_file(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let bytes = noise(600 << 10);
        let send = || send_as(&ann, "k", &message, form(&[file("plan", &bytes)]));
        let first = send().await;
        let position = first.headers()["x-event-position"].clone();
        let first = made(first).await;
        app.clock.advance(5);
        let again = send().await;
        assert_eq!(again.headers()["x-event-position"], position);
        assert_eq!(made(again).await, first);
        assert_eq!(listed(&ann, &message).await, json!([first]));
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 1);
        assert_eq!(get(&ann, &path_of(&first)).await.bytes().await.unwrap(), bytes);
        // Keys are one's own.
        let bob = app.user("bob").await;
        let (of_bob, _) = say(&bob).await;
        let other = made(send_as(&bob, "k", &of_bob, form(&[file("plan", b"his")])).await).await;
        assert_ne!(other["id"], first["id"]);
    }

    async fn a_file_that_is_sent_many_times_at_once_is_one_file(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let bytes = noise(300 << 10);
        let sent = (0..8).map(|_| send_as(&ann, "k", &message, form(&[file("plan", &bytes)])));
        let mut answers = Vec::new();
        for answer in join_all(sent).await {
            answers.push(made(answer).await);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(listed(&ann, &message).await, json!([answers[0]]));
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 1);
        assert_eq!(get(&ann, &path_of(&answers[0])).await.bytes().await.unwrap(), bytes);
    }

    async fn another_file_under_the_same_key_leaves_the_first_as_it_is(app: TestApp) {
        let ann = app.user("ann").await;
        let ((message, _), (elsewhere, _)) = (say(&ann).await, say(&ann).await);
        let first = made(send_as(&ann, "k", &message, form(&[file("plan", b"the first")])).await).await;
        let reused = (422, "idempotency_key_reused".to_owned());
        for (message, name, bytes) in
            [(&message, "plan", &b"another"[..]), (&message, "other", b"the first"), (&elsewhere, "plan", b"the first")]
        {
            assert_eq!(refused(send_as(&ann, "k", message, form(&[file(name, bytes)])).await).await, reused);
        }
        assert_eq!(listed(&ann, &message).await, json!([first]));
        assert_eq!(listed(&ann, &elsewhere).await, json!([]));
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 1);
        assert_eq!(get(&ann, &path_of(&first)).await.text().await.unwrap(), "the first");
    }

    // Whichever of them comes first, its bytes are its own.
    async fn of_several_files_at_once_under_one_key_one_is_kept_whole(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let files: Vec<_> = (0..6).map(|number| noise(200 << 10).into_iter().chain([number]).collect::<Vec<u8>>()).collect();
        let sent = files.iter().map(|bytes| send_as(&ann, "k", &message, form(&[file("plan", bytes)])));
        let (mut kept, mut others) = (Vec::new(), 0);
        for (number, answer) in join_all(sent).await.into_iter().enumerate() {
            if answer.status() == 201 {
                kept.push((number, made(answer).await));
            } else {
                assert_eq!(refused(answer).await, (422, "idempotency_key_reused".to_owned()));
                others += 1;
            }
        }
        assert_eq!((kept.len(), others), (1, 5));
        let (number, attached) = &kept[0];
        assert_eq!(get(&ann, &path_of(attached)).await.bytes().await.unwrap(), files[*number]);
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 1);
    }

    async fn what_was_removed_is_not_added_again(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let send = || send_as(&ann, "k", &message, form(&[file("plan", b"a")]));
        let first = made(send().await).await;
        assert_eq!(delete(&ann, &path_of(&first)).await, 204);
        assert!(lies_in(&app.stage.folder().join("files")).is_empty(), "its bytes go with it");
        assert_eq!(refused(send().await).await, (410, "deleted".to_owned()));
        assert_eq!(delete(&ann, &format!("/api/v1/messages/{message}")).await, 200);
        assert_eq!(refused(send().await).await, (404, "message_not_found".to_owned()));
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
    }

    async fn the_twentieth_may_be_sent_again(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        for number in 0..19 {
            attach(&ann, &message, &format!("f{number}"), b"a").await;
        }
        let send = |key: &'static str| send_as(&ann, key, &message, form(&[file("last", b"a")]));
        let last = made(send("k").await).await;
        assert_eq!(made(send("k").await).await, last);
        assert_eq!(refused(send("another").await).await, (409, "too_many_attachments".to_owned()));
    }

    // Under which id they lie is not said by their attachment's.
    async fn bytes_that_came_under_a_key_are_swept_with_their_message_and_no_sooner(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let kept = made(send_as(&ann, "k", &message, form(&[file("plan", b"a")])).await).await;
        let later = store::Clock::System.now().plus_seconds(60);
        let sweep = async || app.files.sweep(&app.stage.log, &app.read_models.history, later).await.unwrap();
        assert_eq!(sweep().await, 0);
        assert_eq!(get(&ann, &path_of(&kept)).await.text().await.unwrap(), "a");
        assert_eq!(delete(&ann, &format!("/api/v1/messages/{message}")).await, 200);
        assert_eq!(sweep().await, 1);
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
    }
}
