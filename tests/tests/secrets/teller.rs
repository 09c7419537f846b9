//! Who tells the story: sends requests, runs subcommands, and keeps what must not be told and all that was said.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::Service;

use crate::search::Haystacks;
use crate::story::MARKER;

/// What is not to be told again, and all that was said.
pub struct Teller<'a> {
    pub service: &'a Service,
    pub secrets: Vec<(String, String)>,
    pub heard: Haystacks,
}

pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap().to_owned()
}

impl Teller<'_> {
    /// Gives it back, known as a secret from now on.
    pub fn is_secret(&mut self, what: &str, secret: &str) -> String {
        self.secrets.push((what.to_owned(), secret.to_owned()));
        secret.to_owned()
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.service.request(Method::POST, &format!("/api/v1/users/{path}"))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.service.request(Method::GET, path)
    }

    /// Sends it, and hears the whole answer, unless it shows a secret to its owner.
    pub async fn send(&mut self, request: RequestBuilder, status: u16, shows: bool) -> Value {
        let request = request.header("user-agent", MARKER).build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = reqwest::Client::new().execute(request).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        let head = format!("{:?}", answer.headers());
        let body = answer.bytes().await.unwrap();
        let value = serde_json::from_slice(&body).unwrap_or_default();
        if !shows {
            let path = if status == 404 { path.as_str() } else { "" };
            let whole = [head.as_bytes(), path.as_bytes(), b" ", &body].concat();
            self.heard.add(format!("{method} of {status}"), whole);
        }
        value
    }

    pub async fn hears(&mut self, request: RequestBuilder, status: u16) {
        self.send(request, status, false).await;
    }

    pub async fn tokens(&mut self, request: RequestBuilder) -> Tokens {
        let answer = self.send(request, 200, true).await;
        let access = self.is_secret("an access token", &text(&answer, "access_token"));
        Tokens { access, refresh: self.is_secret("a refresh token", &text(&answer, "refresh_token")) }
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Tokens {
        self.tokens(self.post("login").json(&json!({"email": name, "password": password}))).await
    }

    pub async fn refresh(&mut self, token: &str) -> Tokens {
        self.tokens(self.post("refresh-token").header("x-refresh-token", token)).await
    }

    /// Runs a subcommand, with a line on its standard input; what it prints is heard, unless it shows a secret.
    pub async fn operate(&mut self, line: &str, args: &[&str], shows: bool) -> String {
        let output = self.service.binary.run_told(line, args).await;
        let place = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        self.heard.add(format!("the log of {place}"), &output.stderr);
        let printed = String::from_utf8(output.stdout).unwrap();
        if !shows {
            self.heard.add(place, &printed);
        }
        printed
    }
}
