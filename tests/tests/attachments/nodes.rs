//! The real binary: what a crash leaves, and where nodes look for files.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::json;
use tests::stage::PATIENCE;
use tests::{Service, on_both_engines};
use tokio::time::timeout;

use crate::cast::{Asks, User, attach, delete, get, lies_in, path_of, say};

/// Makes a file as old as if it had come two hours ago.
fn age(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let modified = file.metadata().and_then(|it| it.modified()).unwrap();
    let long_ago = modified.checked_sub(Duration::from_hours(2)).unwrap_or(SystemTime::UNIX_EPOCH);
    file.set_modified(long_ago).unwrap();
}

on_both_engines! {
    async fn what_a_crash_left_is_swept_at_the_next_start(service: Service) {
        let folder = service.stage.folder().join("files");
        let ann = User::of(&service, "ann").await;
        let (message, _) = say(&ann).await;
        let (_, session) = say(&ann).await;
        let kept = attach(&ann, &message, "kept", b"kept").await;
        let gone = {
            let added = ann.ask(Method::POST, &format!("/api/v1/sessions/{session}/messages"));
            let added = added.json(&json!({"content": "and this"})).send().await.unwrap();
            let added: serde_json::Value = added.json().await.unwrap();
            attach(&ann, added["message_id"].as_str().unwrap(), "gone", b"gone").await
        };
        assert_eq!(delete(&ann, &format!("/api/v1/sessions/{session}")).await, 200);
        let token = ann.token.clone();
        let Service { mut node, binary, stage, .. } = service;
        node.kill().await;
        // As if it had died between the last byte and the event, and in the midst of another file.
        let orphan = store::fresh_id::<uuid::Uuid>().to_string();
        let (piece, young) = (format!("{orphan}#1"), store::fresh_id::<uuid::Uuid>().to_string());
        for name in [&orphan, &piece, &young] {
            std::fs::write(folder.join(name), b"left").unwrap();
        }
        let id = |attachment: &serde_json::Value| attachment["id"].as_str().unwrap().to_owned();
        for name in [orphan, piece, id(&kept), id(&gone)] {
            age(&folder.join(name));
        }
        let mut node = binary.start().await;
        let mut left = [id(&kept), young];
        left.sort();
        let url = node.url();
        let swept = async {
            while lies_in(&folder) != left {
                reqwest::get(format!("{url}/live")).await.unwrap();
            }
        };
        timeout(PATIENCE, swept).await.unwrap_or_else(|_| panic!("{:?} and not {left:?}", lies_in(&folder)));
        let again = reqwest::Client::new().get(format!("{url}{}", path_of(&kept))).bearer_auth(&token).send().await;
        assert_eq!(again.unwrap().text().await.unwrap(), "kept");
        assert!(node.terminate().await.success());
        drop(stage);
    }

    async fn who_has_a_folder_of_its_own_among_others_says_so(service: Service) {
        let is_one_of_several = service.stage.nats.is_some();
        assert_eq!(service.node.logs().contains("COLLOQUY_FILES is not set"), is_one_of_several);
        let shared = service.stage.folder().join("shared");
        let binary = service.binary.clone().env("COLLOQUY_FILES", &shared).env("COLLOQUY_ATTACHMENT_LIMIT", "4");
        let Service { mut node, stage, .. } = service;
        assert!(node.terminate().await.success());
        let (first, client) = (binary.start().await, stage);
        assert!(!first.logs().contains("COLLOQUY_FILES"));
        drop((first, client));
    }
}

#[tokio::test]
async fn two_nodes_share_a_folder() {
    let stage = tests::Stage::postgres_nats().await;
    let shared = stage.folder().join("shared");
    let shared = shared.to_str().unwrap().to_owned();
    let one = Service::start(stage, &[("COLLOQUY_FILES", &shared), ("COLLOQUY_ATTACHMENT_LIMIT", "4")]).await;
    let other = one.binary.clone().env("COLLOQUY_DATA", one.stage.folder().join("other")).start().await;
    let ann = User::of(&one, "ann").await;
    let (message, _) = say(&ann).await;
    let attached = attach(&ann, &message, "f", b"four").await;
    let too_large = crate::cast::form(&[crate::cast::file("f", b"fives")]);
    assert_eq!(crate::cast::send(&ann, &message, too_large).await.status(), 413);
    let client = reqwest::Client::new();
    let path = path_of(&attached);
    let there = client.get(format!("{}{path}", other.url())).bearer_auth(&ann.token).send().await.unwrap();
    assert_eq!(there.text().await.unwrap(), "four");
    let there = client.delete(format!("{}{path}", other.url())).bearer_auth(&ann.token).send().await.unwrap();
    assert_eq!(there.status(), 204);
    let position = there.headers()["x-event-position"].clone();
    let here = ann.ask(Method::GET, &path).header("x-min-position", position).send().await.unwrap();
    assert_eq!(here.status(), 404);
    assert!(lies_in(Path::new(&shared)).is_empty());
    assert_eq!(get(&ann, &path).await.status(), 404);
}
