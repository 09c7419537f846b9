//! A socket, as a client has it.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// A socket that is open. Dropping it breaks the connection.
pub struct Socket(WebSocketStream<TcpStream>);

/// How long the next frame may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Socket {
    /// Opens `/api/v1/chat/ws` with a query, which begins with `?`, and headers; or what it was refused with.
    pub async fn open(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Self::open_at(address, "/api/v1/chat/ws", query, headers).await
    }

    /// The same at another path.
    pub async fn open_at(address: SocketAddr, path: &str, query: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address_of_socket = format!("ws://{address}{path}{query}");
        let mut request = address_of_socket.into_client_request().expect("an address");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        let stream = TcpStream::connect(address).await.expect("somebody who listens");
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn say(&mut self, what: Value) {
        self.send(Message::text(what.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("an open socket");
    }

    /// Sends what may be too much for the other end, which then need not read it.
    pub async fn try_to_send(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// The next frame; or with which code the socket was closed, and 0 where it just broke.
    pub async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let heard = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            match heard {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(close))) => return Err(close.map_or(0, |close| close.code.into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other}"),
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// The next frame that is no heartbeat.
    pub async fn heard(&mut self) -> Value {
        loop {
            match self.next().await {
                Ok(frame) if frame["type"] == "heartbeat" => {}
                Ok(frame) => return frame,
                Err(code) => panic!("closed with {code}"),
            }
        }
    }

    /// All frames up to the end of a reply, of whatever reply they are.
    pub async fn until_end_of(&mut self, id: &Value) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        while !all.last().is_some_and(|last| last["id"] == *id && is_end(last)) {
            all.push(self.heard().await);
        }
        all
    }

    /// All frames of the next reply, where no other runs.
    pub async fn reply(&mut self) -> Vec<Value> {
        let first = self.heard().await;
        let rest = if is_end(&first) { Vec::new() } else { self.until_end_of(&first["id"].clone()).await };
        [vec![first], rest].concat()
    }

    /// The code with which the socket is closed; what comes before it does not matter.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

fn is_end(frame: &Value) -> bool {
    frame["type"].as_str().is_some_and(|name| name == "error" || is_ending(name))
}

fn is_ending(name: &str) -> bool {
    ["message.completed", "message.stopped", "message.interrupted"].contains(&name)
}

/// The text that the frames of one reply bring together.
pub fn text_of(frames: &[Value], id: &Value) -> String {
    let deltas = frames.iter().filter(|frame| frame["type"] == "delta" && frame["id"] == *id);
    deltas.map(|frame| frame["text"].as_str().expect("a text")).collect()
}
