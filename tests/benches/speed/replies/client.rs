//! A client of streams, so cheap that thousands of them fit beside those whom they ask.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of a request for a stream.
#[derive(Clone)]
pub struct Prompt(Vec<u8>);

const MESSAGE: &str = "What a nice day to measure how long this takes";

impl Prompt {
    /// As the provider takes it.
    pub fn straight(model: &str) -> Self {
        let messages = json!([{"role": "user", "content": MESSAGE}]);
        let usage = json!({"include_usage": true});
        let body = json!({"model": model, "messages": messages, "stream": true, "stream_options": usage});
        Self::new("/v1/chat/completions", "a key", &body)
    }

    /// As Colloquy takes it; without a conversation it begins one.
    pub fn through(token: &str, model: &str, conversation: Option<&str>) -> Self {
        let body = json!({"message": MESSAGE, "model": model, "session_id": conversation});
        Self::new("/api/v1/chat/stream", token, &body)
    }

    fn new(path: &str, token: &str, body: &Value) -> Self {
        let body = body.to_string();
        let (head, length) = (format!("POST {path} HTTP/1.1\r\nhost: bench\r\n"), body.len());
        let kind = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        Self(format!("{head}authorization: Bearer {token}\r\n{kind}\r\n{body}").into_bytes())
    }
}

/// A connection on which one stream is asked for after the other.
pub struct Client {
    socket: TcpStream,
    read: Vec<u8>,
    /// How much of it was looked at.
    seen: usize,
}

/// What an event says, whoever sends it.
pub enum Said {
    /// In which conversation; Colloquy says it first.
    Begun(String),
    Text(String),
    Finished,
    Nothing,
}

enum Line {
    Data(Said),
    /// The chunk without any bytes, which ends the body.
    End,
    Other,
}

impl Client {
    pub async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a server that listens");
        socket.set_nodelay(true).expect("a socket");
        Self { socket, read: Vec::with_capacity(1 << 10), seen: 0 }
    }

    pub async fn ask(&mut self, prompt: &Prompt) {
        self.socket.write_all(&prompt.0).await.expect("a server that listens");
    }

    /// The next event; `None` when the answer has come to its end, which must be a good one.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            match self.line() {
                Some(Line::Data(said)) => return Some(said),
                Some(Line::End) => return None,
                Some(Line::Other) => {}
                None => self.more().await,
            }
        }
    }

    async fn more(&mut self) {
        self.read.drain(..self.seen);
        self.seen = 0;
        let more = self.socket.read_buf(&mut self.read).await.expect("a server that answers");
        assert!(more > 0, "the server has closed the connection");
    }

    /// Both servers send an event in one chunk of the body, and so the lengths of chunks are lines between events.
    fn line(&mut self) -> Option<Line> {
        let rest = self.read.get(self.seen..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.seen += end + 1;
        let line = str::from_utf8(rest.get(..end)?).expect("UTF-8");
        Some(match line.strip_prefix("data: ") {
            Some(data) => Line::Data(said(data)),
            None if line == "0\r" => Line::End,
            None => {
                assert!(!line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.1 200"), "{line}");
                Line::Other
            }
        })
    }
}

/// Looks for the few words that matter: the machine has other things to do than to read all of the JSON.
fn said(data: &str) -> Said {
    let after = |words| data.split_once(words).and_then(|(_, rest)| rest.split('"').next()).map(str::to_owned);
    if data.contains(r#""finish_reason":"stop""#) {
        return Said::Finished;
    }
    let text = after(r#""text":""#).or_else(|| after(r#""content":""#)).filter(|text| !text.is_empty());
    let begun = || after(r#""session_id":""#).map(Said::Begun);
    text.map(Said::Text).or_else(begun).unwrap_or(Said::Nothing)
}
