//! More sign-ins at once than may wait: who finds no place is told when to come again, and nobody else notices.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::Colloquy;
use tokio::task::JoinSet;

/// More than the threads that hash and their queue take.
const SIGN_INS: usize = 600;
const PASSWORD: &str = "Passw0rd!";

/// The status, and whether it says when to come again.
async fn sign_in(client: Client, url: String, email: &str, password: &str) -> (StatusCode, bool) {
    let body = json!({"email": email, "password": password});
    let answer = client.post(format!("{url}/api/v1/users/login")).json(&body).send().await.unwrap();
    (answer.status(), answer.headers().contains_key(RETRY_AFTER))
}

fn storm(client: &Client, url: &str) -> JoinSet<(StatusCode, bool)> {
    let people = [("ann@example.com", PASSWORD), ("ann@example.com", "wrong"), ("nobody@example.com", PASSWORD)];
    let attempts = people.into_iter().cycle().take(SIGN_INS);
    attempts.map(|(email, password)| sign_in(client.clone(), url.to_owned(), email, password)).collect()
}

async fn register(client: &Client, url: &str) -> String {
    let who = json!({"name": "Ann", "email": "ann@example.com", "password": PASSWORD});
    let answer = client.post(format!("{url}/api/v1/users/register")).json(&who).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = client.post(format!("{url}/api/v1/users/login")).json(&who).send().await.unwrap();
    let tokens: Value = answer.json().await.unwrap();
    tokens.get("access_token").and_then(Value::as_str).unwrap().to_owned()
}

/// Posts one message after the other, without an end.
async fn chat(client: &Client, url: &str, token: &str, posts: &mut usize) {
    loop {
        let post = client.post(format!("{url}/api/v1/chat")).bearer_auth(token).json(&json!({"message": "hello"}));
        assert_eq!(post.send().await.unwrap().status(), StatusCode::OK, "after {posts} posts");
        *posts += 1;
    }
}

#[tokio::test]
async fn sign_ins_that_can_not_wait_are_refused_and_the_chat_goes_on() {
    let node = Colloquy::builder().unlimited().start().await;
    let (client, url) = (Client::new(), node.url());
    let token = register(&client, &url).await;

    let mut posts = 0;
    let answers = tokio::select! {
        answers = storm(&client, &url).join_all() => answers,
        () = chat(&client, &url, &token, &mut posts) => Vec::new(),
    };
    assert_eq!(answers.len(), SIGN_INS);
    let refused = answers.iter().filter(|answer| **answer == (StatusCode::SERVICE_UNAVAILABLE, true)).count();
    let answered = [(StatusCode::OK, false), (StatusCode::UNAUTHORIZED, false)];
    let answered = answers.iter().filter(|answer| answered.contains(answer)).count();
    assert_eq!(refused + answered, SIGN_INS, "{answers:?}");
    assert!(refused > 0 && posts > 0, "{refused} refused, {posts} posts");

    let after = sign_in(client, url, "ann@example.com", PASSWORD).await;
    assert_eq!(after, (StatusCode::OK, false), "the storm is over");
}
