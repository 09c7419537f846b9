//! The least of an HTTP/1.1 client, so that little of the machine goes into asking.

use std::net::SocketAddr;
use std::ops::Range;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// The bytes of a request, made once and sent often.
#[derive(Clone)]
pub struct Request(Vec<u8>);

impl Request {
    pub fn get(path: &str, token: Option<&str>) -> Self {
        Self::new("GET", path, token, "")
    }

    pub fn post(path: &str, token: Option<&str>, body: &Value) -> Self {
        Self::new("POST", path, token, &body.to_string())
    }

    /// A POST that brings nothing but its token.
    pub fn bare_post(path: &str, token: &str) -> Self {
        Self::new("POST", path, Some(token), "")
    }

    pub fn refresh(refresh_token: &str) -> Self {
        let head = "POST /api/v1/users/refresh-token HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n";
        Self(format!("{head}x-refresh-token: {refresh_token}\r\n\r\n").into_bytes())
    }

    fn new(method: &str, path: &str, token: Option<&str>, body: &str) -> Self {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n{token}{kind}content-length: {length}\r\n\r\n");
        Self([head.as_bytes(), body.as_bytes()].concat())
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a server that listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, answer: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request and gives back the body of its answer, which must be a good one.
    pub async fn ask(&mut self, request: &Request) -> &[u8] {
        let (status, body) = self.send(request).await;
        assert!((200..300).contains(&status), "{status}: {}", String::from_utf8_lossy(body));
        body
    }

    /// Sends a request and gives back its answer's status and body, whatever they are.
    pub async fn send(&mut self, request: &Request) -> (u16, &[u8]) {
        self.stream.write_all(&request.0).await.expect("a server that listens");
        self.answer.clear();
        let (body, end) = loop {
            let read = self.stream.read_buf(&mut self.answer).await.expect("a server that answers");
            assert!(read > 0, "the server has closed the connection");
            if let Some(bounds) = bounds(&self.answer)
                && self.answer.len() >= bounds.1
            {
                break bounds;
            }
        };
        let status = self.answer.get(STATUS).and_then(|status| str::from_utf8(status).ok()?.parse().ok());
        (status.expect("a status"), self.answer.get(body..end).unwrap_or_default())
    }

    pub async fn json(&mut self, request: &Request) -> Value {
        serde_json::from_slice(self.ask(request).await).expect("JSON")
    }
}

/// Where it stands, after `HTTP/1.1 `.
const STATUS: Range<usize> = 9..12;
const BLANK: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length: ";

/// Where an answer's body begins and ends, once its head is there.
fn bounds(answer: &[u8]) -> Option<(usize, usize)> {
    let body = find(answer, BLANK)? + BLANK.len();
    let head = answer.get(..body)?;
    let length = head.get(find(head, LENGTH)? + LENGTH.len()..)?;
    let digits = length.iter().take_while(|byte| byte.is_ascii_digit());
    Some((body, body + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))))
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window == words)
}
