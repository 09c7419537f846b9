//! Sockets of the real binary: two nodes on one database, what they log, how they stop.

use serde_json::{Value, json};
use tests::app::PASSWORD;
use tests::socket::text_of;
use tests::{FakeProvider, Service, Socket, Stage};

use crate::gated;

const SAID: &str = "a word that is said over a socket";

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.unwrap()
}

/// An access token of somebody new.
async fn sign_in(service: &Service) -> String {
    let body = json!({"name": "ann", "email": "ann@example.com", "password": PASSWORD});
    json_of(service.request(reqwest::Method::POST, "/api/v1/users/register").json(&body)).await;
    let login = json_of(service.request(reqwest::Method::POST, "/api/v1/users/login").json(&body)).await;
    login["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_opens_a_socket_on_another_node_and_no_log_has_it() {
    let stage = Stage::postgres_nats().await;
    let fake = FakeProvider::start().await;
    let address = fake.openai_url();
    let settings = [
        ("COLLOQUY_LOG", "trace"),
        ("OPENAI_API_KEY", "a-key-of-the-provider"),
        ("AI_SERVICES__OPENAI_BASE_URL", address.as_str()),
    ];
    let mut service = Service::start(stage, &settings).await;
    let mut other = service.binary.clone().env("COLLOQUY_ROLES", "api").start().await;
    let token = sign_in(&service).await;
    let issue = service.request(reqwest::Method::POST, "/api/v1/chat/ws-ticket").bearer_auth(&token);
    let ticket = json_of(issue).await["ticket"].as_str().unwrap().to_owned();
    let mut socket = Socket::open(other.address(), &format!("?ticket={ticket}"), &[]).await.unwrap();
    let again = Socket::open(service.node.address(), &format!("?ticket={ticket}"), &[]).await;
    assert_eq!(again.err(), Some(401), "once, on all nodes together");
    let mut by_token = Socket::open(service.node.address(), &format!("?token={token}"), &[]).await.unwrap();

    fake.then(gated(&["first ", SAID], &[" last"]));
    socket.say(json!({"message": SAID, "model": "openai/any"})).await;
    let id = socket.heard().await["id"].clone();
    let mut frames = vec![];
    while !text_of(&frames, &id).ends_with(SAID) {
        frames.push(socket.heard().await);
    }
    // The socket goes with its node; the reply goes on, and the other node has the rest of it.
    let (stopped, code) = tokio::join!(other.terminate(), socket.closed());
    assert!(stopped.success());
    assert_eq!(code, 1012);
    by_token.say(json!({"type": "resume", "id": id, "after": frames.last().unwrap()["seq"]})).await;
    fake.release();
    assert_eq!(text_of(&by_token.until_end_of(&id).await, &id), " last");
    assert!(service.node.terminate().await.success());
    for logs in [other.logs(), service.node.logs()] {
        assert!(logs.contains("/api/v1/chat/ws"), "the request is logged");
        assert!(logs.contains(r#""level":"TRACE""#), "it is not quiet");
        for secret in [ticket.as_str(), &token, "?token=", "?ticket="] {
            assert!(!logs.contains(secret), "{secret}: {:?}", logs.lines().find(|line| line.contains(secret)));
        }
    }
}
