//! Forms with files in them, and who sends them.

use std::path::Path;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::app::PASSWORD;
use tests::{Persona, Service};

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
