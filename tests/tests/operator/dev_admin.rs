//! The user with the password that everybody knows: for trying things out at one's own machine, and nowhere else.

use serde_json::Value;
use tests::service::{SECRET, said};
use tests::{Builder, Nats, Postgres};

use crate::{alone, printed, sign_in};

const SAID: &str = "sign in as admin with the password admin123";
const ANYWHERE: [(&str, &str); 2] = [("COLLOQUY_LISTEN", "0.0.0.0:0"), ("SECRET_KEY", SECRET)];

fn with(binary: &Builder, settings: &[(&str, &str)]) -> Builder {
    settings.iter().fold(binary.clone(), |binary, (name, value)| binary.env(name, value))
}

/// A start that must be refused, and why.
async fn refused(binary: &Builder) -> String {
    let output = binary.run(["serve"]).await;
    assert!(!output.status.success());
    said(&output)
}

#[tokio::test]
async fn alone_there_is_one_and_each_start_says_so() {
    let binary = alone(&[]);
    for _ in 0..2 {
        let mut node = binary.start().await;
        assert!(node.logs().contains(SAID), "{}", node.logs());
        let answer = sign_in(&node.url(), "admin", "admin123").await;
        assert_eq!(answer.status(), 200);
        let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        let me = format!("{}/api/v1/users/admin", node.url());
        let me = reqwest::Client::new().get(me).bearer_auth(token).send().await.unwrap();
        assert_eq!(me.status(), 200, "they are an administrator");
        assert!(node.terminate().await.success());
    }
}

#[tokio::test]
async fn who_wants_none_has_none() {
    let node = alone(&[("COLLOQUY_DEV_ADMIN", "false")]).start().await;
    assert!(!node.logs().contains("admin123"), "{}", node.logs());
    assert_eq!(sign_in(&node.url(), "admin", "admin123").await.status(), 401);
}

#[tokio::test]
async fn it_is_refused_where_others_can_come() {
    let postgres = ("DATABASE_URL", "postgres://127.0.0.1:1/none");
    for others in [&ANYWHERE[..], &[postgres, ("SECRET_KEY", SECRET)]] {
        let why = refused(&alone(&[others, &[("COLLOQUY_DEV_ADMIN", "true")]].concat())).await;
        assert!(why.contains("COLLOQUY_DEV_ADMIN can be true only where"), "{why}");
    }
}

#[tokio::test]
async fn on_postgres_there_is_none() {
    let (postgres, nats) = (Postgres::start().await, Nats::start().await);
    let url = postgres.database().await;
    let binary = alone(&[("DATABASE_URL", &url), ("SECRET_KEY", SECRET)]);
    for binary in [binary.clone(), binary.env("NATS_URL", nats.url())] {
        let mut node = binary.start().await;
        assert!(!node.logs().contains("admin123"), "{}", node.logs());
        assert_eq!(sign_in(&node.url(), "admin", "admin123").await.status(), 401);
        assert!(node.terminate().await.success());
    }
}

#[tokio::test]
async fn data_that_have_one_are_not_shown_to_others_until_it_has_gone() {
    for way_out in ["reset-password", "disable"] {
        let binary = alone(&[]);
        assert!(binary.start().await.terminate().await.success());
        let open = with(&binary, &ANYWHERE);
        for binary in [&open, &with(&binary, &[("COLLOQUY_DEV_ADMIN", "false")])] {
            let why = refused(binary).await;
            assert!(why.contains("colloquy user reset-password admin"), "{why}");
        }
        let done = open.run(["user", way_out, "admin"]).await;
        assert!(done.status.success(), "{}", said(&done));
        let node = open.start().await;
        let url = format!("http://127.0.0.1:{}", node.address().port());
        assert_eq!(sign_in(&url, "admin", "admin123").await.status(), 401);
        if way_out == "reset-password" {
            let password = printed(&said(&done), "password");
            assert_eq!(sign_in(&url, "admin", &password).await.status(), 200);
        }
    }
}
