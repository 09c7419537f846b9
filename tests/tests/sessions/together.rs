//! Several clients, at one node or at two, post to one conversation, edit it, branch it and take from it, all at once: whatever
//! was acknowledged is there, and the tree is whole.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tests::{Colloquy, Dice, Nats, Postgres};

const CLIENTS: usize = 6;
const STEPS: usize = 25;

/// One of a person's clients.
struct Caller {
    client: Client,
    nodes: Vec<String>,
    token: String,
    session: String,
    dice: Dice,
    kept: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
}

impl Caller {
    async fn send(&mut self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let node = &self.nodes[self.dice.below(self.nodes.len())];
        let request = self.client.request(method, format!("{node}{path}")).bearer_auth(&self.token);
        let answer = request.json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Any message that this client knows of.
    fn any(&mut self) -> Option<String> {
        let number = self.dice.below(self.kept.len());
        self.kept.keys().nth(number).cloned()
    }

    async fn step(&mut self, number: usize) {
        let text = format!("{number} of {}", self.dice.below(1_000_000));
        let (kind, session, some) = (self.dice.below(9), self.session.clone(), self.any());
        match (kind, some) {
            (0, Some(id)) => {
                let body = json!({"content": text, "parent_id": id});
                self.keep(&format!("/api/v1/sessions/{session}/messages"), body, text).await;
            }
            (1, Some(id)) => {
                let leaf = json!({"content": text, "if_leaf": id});
                self.keep(&format!("/api/v1/sessions/{session}/messages"), leaf, text).await;
            }
            (2, Some(id)) => self.keep(&format!("/api/v1/messages/{id}/edit"), json!({"message": text}), text).await,
            (3, Some(id)) => {
                let (status, _) =
                    self.send(Method::POST, &format!("/api/v1/messages/{id}/regenerate"), json!({})).await;
                assert!([201, 404, 409].contains(&status.as_u16()), "{status}");
            }
            (4, Some(id)) => {
                let path = format!("/api/v1/sessions/{session}/branch");
                let (status, _) = self.send(Method::PUT, &path, json!({"message_id": id})).await;
                assert!([200, 404].contains(&status.as_u16()), "{status}");
            }
            (5, Some(id)) => {
                let (status, _) = self.send(Method::DELETE, &format!("/api/v1/messages/{id}"), json!({})).await;
                assert!([200, 404].contains(&status.as_u16()), "{status}");
                self.kept.remove(&id);
                self.deleted.insert(id);
            }
            (6, _) => {
                let path = format!("/api/v1/sessions/{session}");
                let (status, _) = self.send(Method::PATCH, &path, json!({"session_name": text})).await;
                assert_eq!(status, 200);
            }
            _ => {
                let body = json!({"message": text, "session_id": session});
                self.keep("/api/v1/chat", body, text).await;
            }
        }
    }

    /// Posts; what was acknowledged is remembered.
    async fn keep(&mut self, path: &str, body: Value, text: String) {
        let (status, answer) = self.send(Method::POST, path, body).await;
        match status.as_u16() {
            200 | 201 => {
                let id = answer["user_message_id"].as_str().or_else(|| answer["message_id"].as_str());
                self.kept.insert(id.unwrap().to_owned(), text);
            }
            // Gone, or moved on.
            404 | 409 | 412 => {}
            other => unreachable!("{other}: {answer}"),
        }
    }
}

async fn sign_in(node: &str) -> (Client, String) {
    let client = Client::new();
    let who = json!({"name": "ann", "email": "ann@example.com", "password": "Passw0rd!"});
    client.post(format!("{node}/api/v1/users/register")).json(&who).send().await.unwrap();
    let answer = client.post(format!("{node}/api/v1/users/login")).json(&who).send().await.unwrap();
    let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
    (client, token)
}

async fn story(nodes: Vec<String>) {
    let mut dice = Dice::cast();
    let (client, token) = sign_in(&nodes[0]).await;
    let begin = client.post(format!("{}/api/v1/sessions", nodes[0])).bearer_auth(&token);
    let made: Value = begin.json(&json!({"session_name": "room"})).send().await.unwrap().json().await.unwrap();
    let session = made["session_id"].as_str().unwrap().to_owned();
    let mut callers: Vec<Caller> = (0..CLIENTS)
        .map(|_| Caller {
            client: client.clone(),
            nodes: nodes.clone(),
            token: token.clone(),
            session: session.clone(),
            dice: dice.fork(),
            kept: BTreeMap::new(),
            deleted: BTreeSet::new(),
        })
        .collect();
    join_all(callers.iter_mut().map(async |caller| {
        for number in 0..STEPS {
            caller.step(number).await;
        }
    }))
    .await;
    let deleted: BTreeSet<_> = callers.iter().flat_map(|caller| caller.deleted.clone()).collect();
    let mut kept: BTreeMap<_, _> = callers.iter().flat_map(|caller| caller.kept.clone()).collect();
    kept.retain(|id, _| !deleted.contains(id));
    let caller = &mut callers[0];
    let (_, last) =
        caller.send(Method::PATCH, &format!("/api/v1/sessions/{session}"), json!({"session_name": "end"})).await;
    assert_eq!(last["session_name"], "end");
    for node in &nodes {
        let tree = Tree::read(&client, node, &token, &session).await;
        tree.is_whole();
        for (id, text) in &kept {
            assert_eq!(tree.messages[id]["content"], json!(text), "acknowledged, and as it was");
        }
        assert!(deleted.iter().all(|id| !tree.messages.contains_key(id)), "deleted, and there");
        assert!(kept.len() > STEPS, "little is left to look at");
    }
}

/// A conversation with all its branches.
struct Tree {
    messages: BTreeMap<String, Value>,
    /// Newest first.
    order: Vec<String>,
    branch: Vec<String>,
    leaf: Value,
}

impl Tree {
    async fn read(client: &Client, node: &str, token: &str, session: &str) -> Self {
        let head = client.patch(format!("{node}/api/v1/sessions/{session}")).bearer_auth(token);
        // A change that says where the log is: what is read then has all of it.
        let name = format!("read at {node}");
        let changed = head.json(&json!({"session_name": name})).send().await.unwrap();
        let session_now: Value = changed.json().await.unwrap();
        let mut tree =
            Self { messages: BTreeMap::new(), order: vec![], branch: vec![], leaf: session_now["leaf_id"].clone() };
        for which in ["all", "chosen"] {
            let mut offset = 0;
            loop {
                let path =
                    format!("{node}/api/v1/sessions/{session}/messages?branch={which}&limit=100&offset={offset}");
                let page: Vec<Value> = client.get(path).bearer_auth(token).send().await.unwrap().json().await.unwrap();
                offset += page.len();
                let ids = page.iter().map(|message| message["id"].as_str().unwrap().to_owned());
                if which == "all" {
                    tree.order.extend(ids);
                } else {
                    tree.branch.extend(ids);
                }
                if page.is_empty() {
                    break;
                }
                if which == "all" {
                    tree.messages.extend(page.into_iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it)));
                }
            }
        }
        tree
    }

    fn is_whole(&self) {
        assert_eq!(self.order.len(), self.messages.len(), "each once");
        let place: BTreeMap<_, _> = self.order.iter().rev().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        for (id, message) in &self.messages {
            let Some(parent) = message["parent_id"].as_str() else { continue };
            assert!(
                place.get(parent).is_some_and(|parent| *parent < place[id.as_str()]),
                "{id} follows what is not before it"
            );
        }
        let (mut path, mut at) = (Vec::new(), self.leaf.as_str());
        while let Some(id) = at {
            path.push(id.to_owned());
            at = self.messages[id]["parent_id"].as_str();
        }
        assert_eq!(self.branch, path, "what is shown is what leads to the leaf");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_one_node() {
    let node = Colloquy::builder().unlimited().start().await;
    story(vec![node.url()]).await;
}

/// Two nodes on one database. Fields go in order: the nodes before their servers.
struct Two {
    nodes: [Colloquy; 2],
    _servers: (Postgres, Nats),
}

impl Two {
    async fn start() -> Self {
        let servers = tokio::join!(Postgres::start(), Nats::start());
        let builder = Colloquy::builder()
            .unlimited()
            .env("DATABASE_URL", servers.0.database().await)
            .env("NATS_URL", servers.1.url());
        let builder = builder.env("SECRET_KEY", "a secret that is good for tests alone");
        let (one, two) = tokio::join!(builder.start(), builder.start());
        Self { nodes: [one, two], _servers: servers }
    }

    fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Colloquy::url).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_nats_two_nodes() {
    let two = Two::start().await;
    story(two.urls()).await;
}

/// What a node remembers of a session is not what the session is.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_nats_a_change_is_made_whatever_a_node_remembers() {
    let two = Two::start().await;
    let urls = two.urls();
    let (client, token) = sign_in(&urls[0]).await;
    let begin = client.post(format!("{}/api/v1/sessions", urls[0])).bearer_auth(&token);
    let made: Value = begin.json(&json!({"session_name": "room"})).send().await.unwrap().json().await.unwrap();
    let path = format!("/api/v1/sessions/{}", made["session_id"].as_str().unwrap());
    for (node, favourite) in [(0, true), (1, false), (0, true), (1, false), (1, true), (0, false)] {
        let change = client.patch(format!("{}{path}", urls[node])).bearer_auth(&token);
        let changed = change.json(&json!({"is_favorite": favourite})).send().await.unwrap();
        assert_eq!(changed.status(), 200);
        let changed: Value = changed.json().await.unwrap();
        assert_eq!(changed["is_favorite"], json!(favourite), "as the other node left it");
    }
}
