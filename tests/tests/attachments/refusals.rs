//! What is not taken, and leaves nothing behind.

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{TestApp, on_both_engines};

use crate::cast::{Asks, BOUNDARY, attach, delete, field, file, form, get, lies_in, listed, noise, path_of, say, send};

async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

on_both_engines! {
    async fn a_form_has_one_file_with_a_name_and_bytes(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let path = format!("/api/v1/messages/{message}/attachments");
        let as_json = ann.ask(Method::POST, &path).json(&json!({"file": "x"})).send().await.unwrap();
        assert_eq!(code(as_json).await, is(415, "not_a_form"));
        let long = "x".repeat(256);
        for (fields, why) in [
            (vec![], "is missing"),
            (vec![field("name=\"other\"; filename=\"f\"", b"a")], "is missing"),
            (vec![file("f", b"")], "must not be empty"),
            (vec![file("f", b"a"), file("g", b"b")], "must be one file"),
            (vec![field("name=\"file\"", b"a")], "its name must not be blank"),
            (vec![file(" ", b"a")], "its name must not be blank"),
            (vec![file("../f", b"a")], "its name must be a name without a path"),
            (vec![file("a\u{202e}b", b"a")], "its name must not contain control characters"),
            (vec![file(&long, b"a")], "its name must have at most 255 characters"),
        ] {
            let answer = send(&ann, &message, form(&fields)).await;
            assert_eq!(answer.status(), 422, "{why}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["errors"], json!([{"field": "file", "message": why}]));
        }
        assert_eq!(listed(&ann, &message).await, json!([]));
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
    }

    async fn what_breaks_off_or_never_begins_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let half = [&file("f", &noise(700 << 10))[..], b"--zq7"].concat();
        // No field, and no end of it.
        let endless = vec![b'x'; 2_200_000];
        let long_head = [format!("--{BOUNDARY}\r\nX: ").as_bytes(), &endless].concat();
        for body in [half, endless, long_head, Vec::new()] {
            assert_eq!(code(send(&ann, &message, body).await).await, is(400, "bad_body"));
        }
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
    }

    async fn a_file_may_be_so_large_and_no_larger(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let most = 1 << 20;
        for length in [most + 1, 2 * most, 5 * most] {
            let answer = send(&ann, &message, form(&[file("f", &noise(length))])).await;
            assert_eq!(code(answer).await, is(413, "too_large"), "{length}");
        }
        assert!(lies_in(&app.stage.folder().join("files")).is_empty());
        attach(&ann, &message, "f", &noise(most)).await;
        assert_eq!(lies_in(&app.stage.folder().join("files")).len(), 1);
    }

    async fn what_is_not_ones_own_is_not_there(app: TestApp) {
        let (ann, eve) = (app.user("ann").await, app.user("eve").await);
        let (message, _) = say(&ann).await;
        let attached = attach(&ann, &message, "f", b"hers").await;
        let unknown = "0197a1f2-0000-7000-8000-000000000001";
        for message in [&message, unknown, "none"] {
            let answer = send(&eve, message, form(&[file("f", b"a")])).await;
            assert_eq!(code(answer).await, is(404, "message_not_found"));
            let answer = get(&eve, &format!("/api/v1/messages/{message}/attachments")).await;
            assert_eq!(code(answer).await, is(404, "message_not_found"));
        }
        for path in [path_of(&attached), format!("/api/v1/attachments/{unknown}"), "/api/v1/attachments/none".to_owned()] {
            assert_eq!(code(get(&eve, &path).await).await, is(404, "attachment_not_found"));
            let answer = eve.ask(Method::DELETE, &path).send().await.unwrap();
            assert_eq!(code(answer).await, is(404, "attachment_not_found"));
        }
        assert_eq!(get(&ann, &path_of(&attached)).await.text().await.unwrap(), "hers");
    }

    async fn a_message_has_twenty_files_however_many_come_at_once(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let uploads = (0..26).map(|n| send(&ann, &message, form(&[file(&format!("f{n}"), b"a")])));
        let (mut taken, mut refused) = (0, 0);
        for answer in join_all(uploads).await {
            if answer.status() == 201 {
                taken += 1;
            } else {
                assert_eq!(code(answer).await, is(409, "too_many_attachments"));
                refused += 1;
            }
        }
        assert_eq!((taken, refused), (20, 6));
        let all = listed(&ann, &message).await;
        assert_eq!(all.as_array().unwrap().len(), 20);
        let mut ids: Vec<_> = all.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(lies_in(&app.stage.folder().join("files")), ids);
        assert_eq!(code(send(&ann, &message, form(&[file("f", b"a")])).await).await, is(409, "too_many_attachments"));
        assert_eq!(delete(&ann, &path_of(&all[0])).await, 204);
        attach(&ann, &message, "one again", b"a").await;
    }
}
