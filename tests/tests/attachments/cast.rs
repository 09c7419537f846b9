//! Forms with files in them, and who sends them.

use std::path::Path;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::app::PASSWORD;
use tests::stage::PATIENCE;
use tests::{Persona, Service, TestApp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Somebody who is signed in, wherever.
pub trait Asks {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder;
}

impl Asks for Persona<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path)
    }
}

/// Somebody at a real node.
pub struct User<'a> {
    pub service: &'a Service,
    pub token: String,
}

impl Asks for User<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.service.request(method, path).bearer_auth(&self.token)
    }
}

impl User<'_> {
    pub async fn of<'a>(service: &'a Service, name: &str) -> User<'a> {
        let email = format!("{name}@example.com");
        let body = json!({"name": name, "email": email, "password": PASSWORD});
        let registered = service.request(Method::POST, "/api/v1/users/register").json(&body).send().await.unwrap();
        assert_eq!(registered.status(), 201);
        let body = json!({"email": email, "password": PASSWORD});
        let answer = service.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        User { service, token: answer["access_token"].as_str().unwrap().to_owned() }
    }
}

pub const BOUNDARY: &str = "zq7-boundary-7qz";

/// A field of a form; `disposition` goes on where it says `form-data`.
pub fn field(disposition: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: text/html; charset=x\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

pub fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    field(&format!("name=\"file\"; filename=\"{name}\""), bytes)
}

/// Fields as a whole form.
pub fn form(fields: &[Vec<u8>]) -> Vec<u8> {
    [&fields.concat()[..], format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
}

pub async fn send(who: &impl Asks, message: &str, body: Vec<u8>) -> Response {
    let request = who.ask(Method::POST, &format!("/api/v1/messages/{message}/attachments"));
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request.header("content-type", kind).body(body).send().await.expect("an answer")
}

/// The same under a name by which it may be sent again.
pub async fn send_as(who: &impl Asks, key: &str, message: &str, body: Vec<u8>) -> Response {
    let request = who.ask(Method::POST, &format!("/api/v1/messages/{message}/attachments"));
    let request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    request.header("idempotency-key", key).body(body).send().await.expect("an answer")
}

/// The beginning of an upload, over a connection of its own; the rest never comes by itself.
pub async fn begin(app: &TestApp, token: &str, message: &str, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(app.address()).await.expect("a server");
    let head = format!(
        "POST /api/v1/messages/{message}/attachments HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: 999999\r\n\r\n"
    );
    client.write_all(&[head.as_bytes(), &file("f", bytes)].concat()).await.expect("a server");
    client
}

/// Asks for something else until the folder is as it should be.
pub async fn until_lies(app: &TestApp, who: &impl Asks, is_so: impl Fn(&[String]) -> bool) {
    let folder = app.stage.folder().join("files");
    let wait = async {
        while !is_so(&lies_in(&folder)) {
            get(who, "/live").await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{:?}", lies_in(&folder)));
}

/// Uploads a file, and gives what is said of it.
pub async fn attach(who: &impl Asks, message: &str, name: &str, bytes: &[u8]) -> Value {
    let answer = send(who, message, form(&[file(name, bytes)])).await;
    assert_eq!(answer.status(), 201, "{name}");
    answer.json().await.unwrap()
}

pub async fn get(who: &impl Asks, path: &str) -> Response {
    who.ask(Method::GET, path).send().await.expect("an answer")
}

pub async fn listed(who: &impl Asks, message: &str) -> Value {
    let answer = get(who, &format!("/api/v1/messages/{message}/attachments")).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

pub async fn delete(who: &impl Asks, path: &str) -> u16 {
    who.ask(Method::DELETE, path).send().await.expect("an answer").status().as_u16()
}

/// Where an attachment is.
pub fn path_of(attachment: &Value) -> String {
    format!("/api/v1/attachments/{}", text(attachment, "id"))
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Says something; the message, and its session.
pub async fn say(who: &impl Asks) -> (String, String) {
    let answer = who.ask(Method::POST, "/api/v1/chat").json(&json!({"message": "see this"})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    (text(&answer, "user_message_id").to_owned(), text(&answer, "session_id").to_owned())
}

/// What lies in a folder, pieces of files as well.
pub fn lies_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

/// Bytes that no two parts of a file have in common.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
