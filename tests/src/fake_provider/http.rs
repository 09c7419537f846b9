//! The little of HTTP/1.1 that a provider's client uses: requests with a length, and heads of answers.

use std::fmt::Write;
use std::io;

use reqwest::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// No honest request is larger; one that is ends its connection.
const MOST: usize = 64 << 20;

/// What a client sends, on one connection. Bytes of the next request are kept while an answer is being given.
pub(super) struct Inbox {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

/// A request, in the words of HTTP.
pub(super) struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, as it was sent.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Inbox {
    pub fn new(reader: OwnedReadHalf) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    /// The next request; none when the client is gone, or has sent what is no request.
    pub async fn next(&mut self) -> Option<Received> {
        let head = self.head().await?;
        let mut received = parse(&head)?;
        let length = received.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        while self.buffer.len() < length {
            self.more().await.ok()?;
        }
        received.body = self.buffer.drain(..length).collect();
        Some(received)
    }

    /// Ends as soon as the client has closed its side, or has broken the connection.
    pub async fn until_closed(&mut self) {
        while self.more().await.is_ok() {}
    }

    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return String::from_utf8(head).ok();
            }
            self.more().await.ok()?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        let read = self.reader.read_buf(&mut self.buffer).await?;
        if read == 0 || self.buffer.len() > MOST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A request without a length but with `transfer-encoding` would be read wrongly, and is refused as no request.
fn parse(head: &str) -> Option<Received> {
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let counted = !headers.iter().any(|(name, _)| name == "transfer-encoding");
    let (path, query) = (path.to_owned(), query.to_owned());
    counted.then_some(Received { method, path, query, headers, body: Vec::new() })
}

/// The head of an answer, with the empty line that ends it. What a script says of a header goes before what is usual.
pub(super) fn head(status: u16, headers: &[(String, String)], own: &[(&str, &str)]) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    let told = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let is_told = |usual: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(usual));
    for (name, value) in own.iter().copied().filter(|(name, _)| !is_told(name)).chain(told) {
        // Writing to a String cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// One chunk of a body whose length is not known.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
