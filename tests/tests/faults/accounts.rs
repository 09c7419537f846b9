//! Accounts and tokens over three nodes that know of each other by the log alone.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::house::{House, Node, eventually};

const PASSWORD: &str = "Passw0rd!";
/// In how much time every node must know that a token is revoked.
const SOON: Duration = Duration::from_secs(1);

/// Three nodes, and somebody who asks them.
struct Three {
    house: House,
    nodes: [Node; 3],
    client: Client,
}

/// What a sign-in or a refresh gives.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Three {
    async fn start() -> Self {
        let house = House::postgres_nats().await;
        let (one, two, three) = tokio::join!(house.node(), house.node(), house.node());
        Self { house, nodes: [one, two, three], client: Client::new() }
    }

    fn url(&self, node: usize, path: &str) -> String {
        format!("{}/api/v1/users{path}", self.nodes[node % 3].url())
    }

    async fn post(&self, node: usize, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.client.post(self.url(node, path)).json(body).send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    async fn sign_up(&self, name: &str) -> Tokens {
        let body = json!({"name": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        assert_eq!(self.post(0, "/register", &body).await.0, 201);
        let (status, tokens) = self.post(1, "/login", &body).await;
        assert_eq!(status, 200);
        Tokens::of(&tokens)
    }

    async fn refresh(&self, node: usize, token: &str) -> Result<Tokens, StatusCode> {
        let request = self.client.post(self.url(node, "/refresh-token")).header("x-refresh-token", token);
        let answer = request.send().await.expect("an answer");
        match answer.status() {
            StatusCode::OK => Ok(Tokens::of(&answer.json().await.expect("JSON"))),
            other => Err(other),
        }
    }

    async fn is_in(&self, node: usize, access: &str) -> bool {
        let answer = self.client.get(self.url(node, "/me")).bearer_auth(access).send().await.expect("an answer");
        match answer.status() {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED => false,
            other => panic!("{other}"),
        }
    }

    /// Waits until no node takes the token; fails when that takes long.
    async fn is_out_everywhere(&self, access: &str) {
        let out = async {
            for node in 0..3 {
                while self.is_in(node, access).await {
                    tokio::task::yield_now().await;
                }
            }
        };
        timeout(SOON, out).await.expect("some node still takes a token that was revoked a second ago");
    }

    async fn count(&self, event: &str) -> i64 {
        use sqlx::Connection;
        let mut database = sqlx::PgConnection::connect(self.house.database()).await.expect("Postgres is up");
        let sql = "select count(*) from events where event_type = $1";
        sqlx::query_scalar(sql).bind(event).fetch_one(&mut database).await.expect("an answer")
    }
}

impl Tokens {
    fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().expect("a token").to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

#[tokio::test]
async fn one_token_that_is_refreshed_everywhere_at_once_has_one_successor() {
    let three = Three::start().await;
    let ann = three.sign_up("ann").await;
    let answers = join_all((0..50).map(|node| three.refresh(node, &ann.refresh))).await;
    let tokens: Vec<_> = answers.into_iter().map(|answer| answer.expect("200 for all")).collect();
    assert!(tokens.iter().all(|it| it.refresh == tokens[0].refresh), "two successors");
    assert_eq!(three.count("TokenRotated").await, 1);

    // The successor is used, and goes on; then the first comes again, from a thief.
    let next =
        three.refresh(2, &tokens[0].refresh).await.unwrap_or_else(|status| panic!("the successor is good: {status}"));
    assert!(three.is_in(0, &next.access).await && three.is_in(1, &tokens[7].access).await);
    assert_eq!(three.refresh(1, &ann.refresh).await.err(), Some(StatusCode::UNAUTHORIZED));
    for access in [&ann.access, &tokens[7].access, &next.access] {
        three.is_out_everywhere(access).await;
    }
    assert_eq!(three.refresh(0, &next.refresh).await.err(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!((three.count("TokenReuseDetected").await, three.count("TokenRevoked").await), (1, 1));
}

#[tokio::test]
async fn of_many_who_want_one_name_one_gets_it() {
    let three = Three::start().await;
    for (kind, body) in [
        (
            "email",
            &(|n: usize| json!({"email": if n.is_multiple_of(2) { "race@example.com" } else { "RACE@Example.Com" }}))
                as &dyn Fn(usize) -> Value,
        ),
        (
            "username",
            &|n: usize| json!({"email": format!("u{n}@example.com"), "username": if n.is_multiple_of(2) { "Racer" } else { "rACER" }}),
        ),
    ] {
        let register = |n: usize| {
            let mut body = body(n);
            body["name"] = json!("Racer");
            body["password"] = json!(PASSWORD);
            let three = &three;
            // Whoever waited too long for a thread that hashes is told to come again, and does.
            async move {
                loop {
                    match three.post(n, "/register", &body).await.0.as_u16() {
                        503 => {}
                        code => return code,
                    }
                }
            }
        };
        let mut codes = join_all((0..200).map(register)).await;
        codes.sort_unstable();
        assert_eq!(codes, [&[201][..], &[409; 199]].concat(), "{kind}");
    }
}

/// Whatever ends a token ends it everywhere.
#[tokio::test]
async fn what_ends_a_token_on_one_node_ends_it_on_all() {
    let three = Three::start().await;
    let (ann, bob, eve) = (three.sign_up("ann").await, three.sign_up("bob").await, three.sign_up("eve").await);
    let other = three.post(2, "/login", &json!({"email": "ann@example.com", "password": PASSWORD})).await.1;
    let body = json!({"current_password": PASSWORD, "new_password": "N3w-passw0rd"});
    let change = three.client.post(three.url(0, "/me/password")).bearer_auth(&ann.access).json(&body);
    assert_eq!(change.send().await.expect("an answer").status(), 204);
    three.is_out_everywhere(&Tokens::of(&other).access).await;
    assert!(three.is_in(1, &ann.access).await && three.is_in(2, &ann.access).await, "the one it came from goes on");

    let log_out = three.client.post(three.url(1, "/logout-all")).bearer_auth(&bob.access);
    assert_eq!(log_out.send().await.expect("an answer").status(), 204);
    three.is_out_everywhere(&bob.access).await;

    let keys = format!("{}/api/v1/keys", three.nodes[0].url());
    let create = three.client.post(&keys).bearer_auth(&eve.access).json(&json!({"name": "k", "scopes": ["account"]}));
    let key: Value = create.send().await.expect("an answer").json().await.expect("JSON");
    let with_key = async |node: usize| {
        let request = three.client.get(three.url(node, "/me")).header("x-api-key", key["key"].as_str().expect("a key"));
        request.send().await.expect("an answer").status()
    };
    for node in 0..3 {
        assert_eq!(with_key(node).await, 200);
    }
    let revoke = three.client.delete(format!("{keys}/{}", key["id"].as_str().expect("an id"))).bearer_auth(&eve.access);
    assert_eq!(revoke.send().await.expect("an answer").status(), 204);
    let revoked = async {
        for node in 0..3 {
            while with_key(node).await == 200 {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(SOON, revoked).await.expect("some node still takes a key that was revoked a second ago");

    let disable = three.nodes[0].builder.run(["user", "disable", "eve@example.com"]).await;
    assert!(disable.status.success());
    three.is_out_everywhere(&eve.access).await;
}

/// A node that starts learns from the log what was revoked before, and one that was away what was revoked meanwhile.
#[tokio::test]
async fn what_was_revoked_stays_revoked_on_a_node_that_starts() {
    let mut three = Three::start().await;
    let (ann, bob, eve) = (three.sign_up("ann").await, three.sign_up("bob").await, three.sign_up("eve").await);
    three.nodes[2].kill().await;
    let log_out = three.client.post(three.url(0, "/logout")).header("x-refresh-token", &ann.refresh);
    assert_eq!(log_out.send().await.expect("an answer").status(), 204);
    let log_out = three.client.post(three.url(1, "/logout-all")).bearer_auth(&bob.access);
    assert_eq!(log_out.send().await.expect("an answer").status(), 204);
    three.nodes[2].start().await;
    for (access, is_in) in [(&ann.access, false), (&bob.access, false), (&eve.access, true)] {
        assert_eq!(three.is_in(2, access).await, is_in);
    }
}

/// Without NATS the nodes hear of it by the log.
#[tokio::test]
async fn a_revocation_reaches_all_nodes_while_nats_is_away() {
    let mut three = Three::start().await;
    let ann = three.sign_up("ann").await;
    three.house.nats().kill().await;
    eventually("a node that misses NATS", async || {
        let (_, ready) = three.nodes[0].ready().await;
        ready["degraded"].as_array().is_some_and(|all| all.contains(&json!("nats"))).then_some(())
    })
    .await;
    let log_out = three.client.post(three.url(0, "/logout")).header("x-refresh-token", &ann.refresh);
    assert_eq!(log_out.send().await.expect("an answer").status(), 204);
    three.is_out_everywhere(&ann.access).await;
}
