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
            if let Some(end) = self.unread.find("\n\n") {
                let event = parse(&self.unread[..end]);
                self.unread.drain(..end + 2);
                return Some(event);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            let chunk = chunk.expect("a stream")?;
            self.unread.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
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
