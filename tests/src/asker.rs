//! Somebody who asks running nodes for replies, from outside: asks, watches, comes back, stops.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::sse::Events;

/// Somebody who is signed in, at any of the nodes. Each request has a connection of its own: none is left over from a
/// node that has died.
#[derive(Clone)]
pub struct Asker {
    client: Client,
    token: String,
}

/// How a client says what it has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Header(usize),
    Query(usize),
}

const PASSWORD: &str = "Passw0rd!";

impl Asker {
    /// Signs up at one node, given by its URL.
    pub async fn register(node: &str, name: &str) -> Self {
        let client = Client::builder().pool_max_idle_per_host(0).build().expect("an HTTP client");
        let email = format!("{name}@example.com");
        let registration = json!({"name": name, "email": email, "password": PASSWORD});
        json_of(client.post(format!("{node}/api/v1/users/register")).json(&registration), 201).await;
        let login = json!({"email": email, "password": PASSWORD});
        let signed_in = json_of(client.post(format!("{node}/api/v1/users/login")).json(&login), 200).await;
        Self { client, token: text(&signed_in, "access_token") }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks a model in a new conversation, and does not wait: the reply's id.
    pub async fn ask(&self, node: &str, model: &str) -> String {
        let path = format!("{node}/api/v1/chat/background");
        let task = json_of(self.post(path).json(&question(model)), 200).await;
        text(&task, "task_id")
    }

    /// Asks again and again, until the node dies in the midst of it: the replies that it acknowledged.
    pub async fn ask_until_it_dies(&self, node: &str, model: &str) -> Vec<String> {
        let mut acknowledged = Vec::new();
        loop {
            let request = self.post(format!("{node}/api/v1/chat/background")).json(&question(model));
            let Ok(answer) = request.send().await else { return acknowledged };
            let Ok(task) = answer.json().await else { return acknowledged };
            acknowledged.push(text(&task, "task_id"));
        }
    }

    /// Asks a model in a new conversation, and watches the reply.
    pub async fn stream(&self, node: &str, model: &str) -> Events {
        let path = format!("{node}/api/v1/chat/stream");
        Events::of(answer(self.post(path).json(&question(model))).await)
    }

    /// Watches the rest of a reply.
    pub async fn resume(&self, node: &str, reply: &str, since: Since) -> Events {
        let path = format!("{node}/api/v1/messages/{reply}/stream");
        let request = self.client.get(path).bearer_auth(&self.token);
        Events::of(answer(since.tell(request)).await)
    }

    /// A message as it stands.
    pub async fn message(&self, node: &str, id: &str) -> Value {
        let request = self.client.get(format!("{node}/api/v1/messages/{id}"));
        json_of(request.bearer_auth(&self.token), 200).await
    }

    pub async fn stop(&self, node: &str, reply: &str) -> Value {
        json_of(self.post(format!("{node}/api/v1/messages/{reply}/stop")), 200).await
    }

    fn post(&self, url: String) -> RequestBuilder {
        self.client.post(url).bearer_auth(&self.token)
    }
}

impl Since {
    fn tell(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Header(id) => request.header("last-event-id", id),
            Self::Query(id) => request.query(&[("after", id)]),
        }
    }
}

fn question(model: &str) -> Value {
    json!({"message": format!("a question for {model}"), "model": format!("fake/{model}")})
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let answer = answer(request).await;
    let (came, url) = (answer.status(), answer.url().clone());
    let body = answer.text().await.expect("a body");
    assert_eq!(came, status, "{url}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

fn text(body: &Value, field: &str) -> String {
    let found = body.get(field).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {field} in {body}")).to_owned()
}
