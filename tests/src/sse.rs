//! Server-sent events, as a client reads them.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: usize,
    pub data: Value,
}

/// A stream that is being read. Dropping it closes the connection.
pub struct Events {
    response: Response,
    unread: String,
}

/// How long the next event may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Events {
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.unread() {
                return Some(event);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            let chunk = chunk.expect("a stream")?;
            self.unread.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }

    /// The next of those that have come.
    fn unread(&mut self) -> Option<Event> {
        let end = self.unread.find("\n\n")?;
        let event = parse(&self.unread[..end]);
        self.unread.drain(..end + 2);
        Some(event)
    }

    /// The next that is no heartbeat.
    pub async fn said(&mut self) -> Option<Event> {
        loop {
            let event = self.next().await?;
            if event.name != "heartbeat" {
                return Some(event);
            }
        }
    }

    /// All that still comes of a node that dies, without heartbeats.
    pub async fn until_it_dies(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            all.extend(std::iter::from_fn(|| self.unread()).filter(|event| event.name != "heartbeat"));
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            let Ok(Some(chunk)) = chunk else { return all };
            let Ok(text) = std::str::from_utf8(&chunk) else { return all };
            self.unread.push_str(text);
        }
    }

    /// All that is left.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.said().await {
            all.push(event);
        }
        all
    }
}

fn parse(text: &str) -> Event {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {text:?}"))
    };
    let (name, id) = (field("event").to_owned(), field("id").parse().expect("a number"));
    Event { name, id, data: serde_json::from_str(field("data")).expect("JSON") }
}

/// The text that events bring together.
pub fn text(events: &[Event]) -> String {
    let deltas = events.iter().filter(|event| event.name == "delta");
    deltas.map(|event| event.data["text"].as_str().expect("a text")).collect()
}
