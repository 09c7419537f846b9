//! The real binary, with its files in a bucket.

use api::{Files, Place};
use reqwest::Method;
use store::Clock;
use tests::servers::s3::{S3, SECRET};
use tests::{Service, Stage, on_both_engines};

use crate::cast::{Asks, User, attach, delete, file, form, get, lies_in, noise, path_of, say, send, text};

async fn start(stage: Stage, s3: &S3) -> Service {
    let settings = s3.settings("in/here");
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Service::start(stage, &settings).await
}

on_both_engines! {
    async fn files_are_kept_in_a_bucket_and_leave_it(stage: Stage) {
        let s3 = S3::start().await;
        let service = start(stage, &s3).await;
        let ann = User::of(&service, "ann").await;
        let (message, _) = say(&ann).await;
        let small = attach(&ann, &message, "small", b"in one request").await;
        // In three parts.
        let bytes = noise(12 << 20);
        let large = attach(&ann, &message, "large", &bytes).await;
        let kept = s3.object("in/here");
        let mut names = [text(&small, "id"), text(&large, "id")];
        names.sort_unstable();
        assert_eq!(lies_in(&kept), names);
        assert_eq!(get(&ann, &path_of(&small)).await.text().await.unwrap(), "in one request");
        assert_eq!(get(&ann, &path_of(&large)).await.bytes().await.unwrap(), bytes);
        let part = ann.ask(Method::GET, &path_of(&large)).header("range", "bytes=6000000-6000009").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.bytes().await.unwrap()), (206, bytes[6_000_000..6_000_010].to_vec().into()));
        // One that is too large, after two parts of it were sent.
        let too_large = form(&[file("f", &noise((20 << 20) + 1))]);
        assert_eq!(send(&ann, &message, too_large).await.status(), 413);
        assert_eq!(lies_in(&kept), names);
        for attachment in [&small, &large] {
            assert_eq!(delete(&ann, &path_of(attachment)).await, 204);
        }
        assert!(lies_in(&kept).is_empty());
        assert!(!service.stage.folder().join("files").exists());
        assert!(!service.node.logs().contains(SECRET));
    }

    async fn a_bucket_is_swept_below_its_prefix(stage: Stage) {
        let s3 = S3::start().await;
        let service = start(stage, &s3).await;
        let ann = User::of(&service, "ann").await;
        let (message, _) = say(&ann).await;
        let kept = attach(&ann, &message, "f", b"kept").await;
        let orphan = store::fresh_id::<uuid::Uuid>().to_string();
        for name in [format!("in/here/{orphan}"), orphan.clone(), "in/here/notes.txt".to_owned()] {
            std::fs::write(s3.object(name), b"left").unwrap();
        }
        let history = service.stage.history().await;
        service.stage.settle(&history).await;
        let files = Files::open(Place::Bucket(s3.bucket("in/here")), 1).unwrap();
        let later = Clock::System.now().plus_seconds(60);
        assert_eq!(files.sweep(&service.stage.log, &history, later).await.unwrap(), 1);
        let mut left = ["notes.txt", text(&kept, "id")];
        left.sort_unstable();
        assert_eq!(lies_in(&s3.object("in/here")), left);
        assert!(s3.object(orphan).exists());
    }

    async fn a_bucket_that_is_away_is_told_and_missed_by_nothing_else(stage: Stage) {
        let s3 = S3::start().await;
        let service = start(stage, &s3).await;
        let ann = User::of(&service, "ann").await;
        let (message, _) = say(&ann).await;
        let attached = attach(&ann, &message, "f", b"a").await;
        drop(s3);
        let body = form(&[file("f", b"a")]);
        for answer in [get(&ann, &path_of(&attached)).await, send(&ann, &message, body).await] {
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["retry-after"], "2");
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(text(&body, "code"), "files_unavailable");
        }
        assert_eq!(delete(&ann, &path_of(&attached)).await, 204, "its bytes are swept some day");
        say(&ann).await;
        assert!(!service.node.logs().contains(SECRET));
    }
}
