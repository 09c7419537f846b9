//! People and things for each operation to find: what one of them takes away, no other needs.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};
use tests::Service;

const PASSWORD: &str = "Passw0rd!";
const FORM: &str =
    "--line\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--line--\r\n";

pub(super) struct Cast {
    /// An administrator's.
    token: String,
    /// Which parameters an operation is asked with.
    parameters: Vec<(&'static str, &'static str, String)>,
    /// Who else asks, and with what.
    headers: Vec<(&'static str, &'static str, String)>,
}

impl Cast {
    pub(super) async fn of(service: &Service) -> Self {
        let told = ["user", "create", "root", "--admin", "--password-stdin"];
        assert!(service.binary.run_told(PASSWORD, told).await.status.success());
        let root = sign_in(service, "root").await;
        let mut cast = Self { token: text(&root, "access_token"), parameters: Vec::new(), headers: Vec::new() };
        cast.people(service).await;
        cast.conversations(service).await;
        cast.broken(service).await;
        cast.keys(service).await;
        cast
    }

    /// As schemathesis wants to be told.
    pub(super) fn config(&self) -> String {
        let mut config = format!(
            "continue-on-failure = true\n\
             headers = {{ Authorization = \"Bearer {}\" }}\n\
             generation = {{ with-security-parameters = false, database = \"none\" }}\n\
             # What waits for a position that never comes is 503 after a while, and rightly so.\n\
             parameters = {{ \"header.X-Min-Position\" = \"0\", \"header.If-Match\" = \"*\" }}\n",
            self.token
        );
        for (id, name, value) in &self.parameters {
            entry(&mut config, id, &format!("parameters = {{ \"{name}\" = \"{value}\" }}"));
        }
        for (id, name, value) in &self.headers {
            entry(&mut config, id, &format!("headers = {{ {name} = \"{value}\" }}"));
        }
        config
    }

    async fn ask(&self, service: &Service, method: Method, path: &str, body: Value) -> Value {
        let request = service.request(method, &format!("/api/v1{path}")).bearer_auth(&self.token).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn people(&mut self, service: &Service) {
        // The document's examples are of her.
        register(service, "ann").await;
        let vic = register(service, "vic").await;
        let vic = service.request(Method::GET, "/api/v1/users/me").bearer_auth(text(&vic, "access_token"));
        let vic = text(&vic.send().await.unwrap().json().await.unwrap(), "id");
        for id in ["showUser", "disableUser", "enableUser", "grantRole", "revokeRole"] {
            self.parameters.push((id, "path.user", vic.clone()));
        }
        for (id, name) in [("refreshToken", "bob"), ("logout", "eve")] {
            let token = text(&register(service, name).await, "refresh_token");
            self.headers.push((id, "X-Refresh-Token", token));
        }
        let who = ["logoutAll", "changePassword", "clearHistory", "s0ClearHistory"];
        for (id, name) in who.into_iter().zip(["carl", "dora", "fay", "gus"]) {
            let token = text(&register(service, name).await, "access_token");
            self.headers.push((id, "Authorization", format!("Bearer {token}")));
        }
        let other = sign_in(service, "root").await;
        let all = service.request(Method::GET, "/api/v1/users/me/sign-ins").bearer_auth(text(&other, "access_token"));
        let all: Value = all.send().await.unwrap().json().await.unwrap();
        let current = all.as_array().unwrap().iter().find(|it| it["current"] == true).unwrap();
        self.parameters.push(("endSignIn", "path.id", text(current, "id")));
    }

    async fn conversations(&mut self, service: &Service) {
        let mut turns = Vec::new();
        for _ in 0..3 {
            turns.push(self.ask(service, Method::POST, "/chat", json!({"message": "hello"})).await);
        }
        let field = |turn: usize, name| text(&turns[turn], name);
        let (session, message, reply) = (field(0, "session_id"), field(0, "user_message_id"), field(0, "message_id"));
        let of_session =
            ["showSession", "changeSession", "listMessages", "addMessage", "chooseBranch", "exportSession"];
        let of_message =
            ["showMessage", "editMessage", "rateMessage", "embedMessage", "listAttachments", "addAttachment"];
        let of_reply = ["resumeStream", "stopReply", "regenerateReply", "showTask", "cancelTask", "s4Task"];
        let all = [(&of_session, &session), (&of_message, &message), (&of_reply, &reply)];
        for (ids, id) in all {
            self.parameters.extend(ids.iter().map(|operation| (*operation, "path.id", id.clone())));
        }
        self.parameters.push(("chooseBranch", "body.message_id", reply));
        self.parameters.push(("createCompletion", "header.X-Session-Id", session));
        self.parameters.push(("createCompletion", "body.model", "fake/one".to_owned()));
        self.parameters.push(("deleteSession", "path.id", field(1, "session_id")));
        self.parameters.push(("deleteMessage", "path.id", field(2, "user_message_id")));
        for id in ["downloadAttachment", "removeAttachment"] {
            let path = format!("/api/v1/messages/{message}/attachments");
            let request = service.request(Method::POST, &path).bearer_auth(&self.token);
            let request = request.header("content-type", "multipart/form-data; boundary=line").body(FORM);
            let added: Value = request.send().await.unwrap().json().await.unwrap();
            self.parameters.push((id, "path.id", text(&added, "id")));
        }
    }

    /// A reply that broke off.
    async fn broken(&mut self, service: &Service) {
        let body = json!({"message": "hello", "model": "fake/broken"});
        let request = service.request(Method::POST, "/api/v1/chat").bearer_auth(&self.token).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 502);
        self.parameters.push(("retryTask", "path.id", text(&answer.json().await.unwrap(), "message_id")));
    }

    async fn keys(&mut self, service: &Service) {
        for id in ["rotateKey", "revokeKey"] {
            let key = self.ask(service, Method::POST, "/keys", json!({"name": id})).await;
            self.parameters.push((id, "path.id", text(&key, "id")));
        }
    }
}

fn entry(config: &mut String, id: &str, what: &str) {
    writeln!(config, "[[operations]]\ninclude-operation-id = \"{id}\"\n{what}").unwrap();
}

async fn register(service: &Service, name: &str) -> Value {
    let email = format!("{name}@example.com");
    let body = json!({"name": name, "username": name, "email": email, "password": PASSWORD});
    let answer = service.request(Method::POST, "/api/v1/users/register").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    sign_in(service, name).await
}

async fn sign_in(service: &Service, name: &str) -> Value {
    let body = json!({"username": name, "password": PASSWORD});
    let answer = service.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap();
    answer.error_for_status().unwrap().json().await.unwrap()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}
