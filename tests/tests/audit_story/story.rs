//! The story, step by step, and the rows that each step must leave.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::Service;

/// What the audit log must say: about whom, and all of it as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub user: String,
    pub line: String,
}

/// Who did the step that is being told, as each of its rows shows it.
struct Step {
    request: String,
    ip: &'static str,
    agent: String,
}

pub struct Story {
    pub script: Vec<Row>,
    steps: usize,
    step: Step,
    /// The access tokens of those who read the log at the end.
    pub ann: String,
    pub bob: String,
}

pub const OPERATOR: &str = "colloquy (command line)";
pub const NOBODY: &str = "-";
const PASSWORD: &str = "Passw0rd!";
const NEW_PASSWORD: &str = "N3w-passw0rd!";
const DESK: &str = "desk/1.0";
const PHONE: &str = "phone, \"the old one\"";
/// A refresh token that is well-formed, and nobody's.
const UNKNOWN: &str = "crt_KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq0701xA";
const OK: &str = "ok";
const REFUSED: &str = "refused";

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap().to_owned()
}

/// A word of what the command printed: the one after its name.
fn printed(output: &str, name: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

impl Story {
    pub async fn tell(service: &Service) -> Self {
        let step = Step { request: String::new(), ip: NOBODY, agent: String::new() };
        let mut story = Self { script: Vec::new(), steps: 0, step, ann: String::new(), bob: String::new() };
        let admin = story.people_come(service).await;
        story.tokens_are_used(service).await;
        story.sign_ins_are_ended(service).await;
        story.an_account_changes(service).await;
        story.keys_come_and_go(service).await;
        story.roles_come_and_go(service, &admin).await;
        story.somebody_is_disabled(service, &admin).await;
        story.an_operator_steps_in(service).await;
        story
    }

    /// One request, told apart by its id.
    async fn ask(&mut self, request: RequestBuilder, agent: &str, status: u16) -> Value {
        self.steps += 1;
        let id = format!("step-{}", self.steps);
        let request = request.header("x-request-id", &id).header("user-agent", agent);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{id} of {agent}");
        assert_eq!(answer.headers()["x-request-id"], id.as_str());
        self.step = Step { request: id, ip: "127.0.0.1", agent: agent.to_owned() };
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    async fn operate(&mut self, service: &Service, args: &[&str]) -> String {
        self.step = Step { request: NOBODY.to_owned(), ip: NOBODY, agent: OPERATOR.to_owned() };
        service.operate(args).await
    }

    /// What the step has left about somebody: kinds, outcomes and reasons.
    pub fn leaves(&mut self, user: &str, by: &str, rows: &[(&str, &str, &str)]) {
        let Step { request, ip, agent } = &self.step;
        self.script.extend(rows.iter().map(|(kind, outcome, reason)| Row {
            user: user.to_owned(),
            line: format!("{kind} of {user} by {by}: {outcome}, {reason}, from {ip} with {agent}, {request}"),
        }));
    }

    /// Reads the log as somebody who may: a step like any other.
    pub async fn read(&mut self, service: &Service, query: &str) -> String {
        self.steps += 1;
        let id = format!("step-{}", self.steps);
        let request = service.request(Method::GET, &format!("/api/v1/audit/tokens{query}")).bearer_auth(&self.bob);
        let answer = request.header("x-request-id", &id).header("user-agent", DESK).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        self.step = Step { request: id, ip: "127.0.0.1", agent: DESK.to_owned() };
        answer.text().await.unwrap()
    }

    /// Tries to sign in, and gives both tokens.
    async fn sign_in(&mut self, service: &Service, name: &str, password: &str, status: u16) -> (String, String) {
        let body = json!({"email": name, "password": password});
        let answer = self.ask(service.request(Method::POST, "/api/v1/users/login").json(&body), DESK, status).await;
        if status == 200 { (text(&answer, "access_token"), text(&answer, "refresh_token")) } else { Default::default() }
    }

    async fn refresh(&mut self, service: &Service, token: &str, agent: &str, status: u16) -> (String, String) {
        let request = service.request(Method::POST, "/api/v1/users/refresh-token").header("x-refresh-token", token);
        let answer = self.ask(request, agent, status).await;
        if status == 200 { (text(&answer, "access_token"), text(&answer, "refresh_token")) } else { Default::default() }
    }

    async fn people_come(&mut self, service: &Service) -> String {
        let register = || service.request(Method::POST, "/api/v1/users/register");
        let ann = json!({"name": "Ann", "email": "ann@example.com", "username": "ann", "password": PASSWORD});
        self.ask(register().json(&ann), DESK, 201).await;
        // It is shown by the name of the story's end.
        self.leaves("annie", NOBODY, &[("registered", OK, "-")]);
        self.ask(register().json(&ann), DESK, 409).await;
        let bob = json!({"name": "Bob", "email": "bob@example.com", "password": PASSWORD});
        self.ask(register().json(&bob), PHONE, 201).await;
        self.leaves("bob@example.com", NOBODY, &[("registered", OK, "-")]);
        let made = self.operate(service, &["user", "create", "root", "--admin"]).await;
        self.leaves("root", NOBODY, &[("registered", OK, "-"), ("role_granted", OK, "admin")]);
        let (admin, _) = self.sign_in(service, "root", &printed(&made, "password "), 200).await;
        self.leaves("root", "root", &[("sign_in", OK, "-")]);
        admin
    }

    async fn tokens_are_used(&mut self, service: &Service) {
        let (_, first) = self.sign_in(service, "Ann@Example.com", PASSWORD, 200).await;
        self.leaves("annie", "annie", &[("sign_in", OK, "-")]);
        self.sign_in(service, "ann@example.com", "not-the-password", 401).await;
        self.leaves("annie", NOBODY, &[("sign_in_failed", REFUSED, "wrong_password")]);
        self.sign_in(service, "nobody@example.com", PASSWORD, 401).await;
        self.leaves(NOBODY, NOBODY, &[("sign_in_failed", REFUSED, "unknown_user")]);
        let (_, second) = self.refresh(service, &first, DESK, 200).await;
        self.leaves("annie", "annie", &[("token_rotated", OK, "-")]);
        let (access, third) = self.refresh(service, &second, PHONE, 200).await;
        let moved = [("token_anomaly", "suspicious", "user_agent"), ("token_rotated", OK, "-")];
        self.leaves("annie", "annie", &moved);
        let me = |access: &str| service.request(Method::GET, "/api/v1/users/me").bearer_auth(access);
        self.ask(me(&access), PHONE, 200).await;
        self.refresh(service, &second, DESK, 401).await;
        self.leaves("annie", NOBODY, &[("token_reused", REFUSED, "-"), ("token_revoked", OK, "reused")]);
        self.ask(me(&access), PHONE, 401).await;
        // Noted the first time.
        for rows in [&[("token_refused", REFUSED, "revoked")][..], &[]] {
            self.refresh(service, &third, PHONE, 401).await;
            self.leaves("annie", NOBODY, rows);
        }
        // Noted once a minute for each address.
        for rows in [&[("unknown_token", REFUSED, "well_formed")][..], &[]] {
            self.refresh(service, UNKNOWN, PHONE, 401).await;
            self.leaves(NOBODY, NOBODY, rows);
        }
    }

    async fn sign_ins_are_ended(&mut self, service: &Service) {
        let (_, refresh) = self.sign_in(service, "ann", PASSWORD, 200).await;
        self.leaves("annie", "annie", &[("sign_in", OK, "-")]);
        let logout = |path: &str| service.request(Method::POST, &format!("/api/v1/users/{path}"));
        self.ask(logout("logout").header("cookie", format!("refresh_token={refresh}")), DESK, 204).await;
        self.leaves("annie", "annie", &[("token_revoked", OK, "signed_out")]);
        let (access, _) = self.sign_in(service, "ann", PASSWORD, 200).await;
        self.leaves("annie", "annie", &[("sign_in", OK, "-")]);
        self.ask(logout("logout-all").bearer_auth(access), DESK, 204).await;
        self.leaves("annie", "annie", &[("sign_ins_ended", OK, "signed_out_everywhere")]);
    }

    async fn an_account_changes(&mut self, service: &Service) {
        (self.ann, _) = self.sign_in(service, "ann", PASSWORD, 200).await;
        self.leaves("annie", "annie", &[("sign_in", OK, "-")]);
        let access = self.ann.clone();
        for (current, status, rows) in [
            ("not-the-password", 403, &[("sign_in_failed", REFUSED, "wrong_password")][..]),
            (PASSWORD, 204, &[("password_changed", OK, "-"), ("sign_ins_ended", OK, "password_changed")]),
        ] {
            let body = json!({"current_password": current, "new_password": NEW_PASSWORD});
            let change = service.request(Method::POST, "/api/v1/users/me/password").bearer_auth(&access);
            self.ask(change.json(&body), DESK, status).await;
            self.leaves("annie", "annie", rows);
        }
        for rows in [&[("profile_changed", OK, "-")][..], &[]] {
            let change = service.request(Method::PATCH, "/api/v1/users/me").bearer_auth(&access);
            self.ask(change.json(&json!({"username": "annie", "current_password": NEW_PASSWORD})), DESK, 200).await;
            self.leaves("annie", "annie", rows);
        }
    }

    async fn keys_come_and_go(&mut self, service: &Service) {
        let access = self.ann.clone();
        let keys = |method, path: &str| service.request(method, &format!("/api/v1/keys{path}")).bearer_auth(&access);
        let body = json!({"name": "nightly job", "scopes": ["chat:read", "account"]});
        let key = self.ask(keys(Method::POST, "").json(&body), DESK, 201).await;
        self.leaves("annie", "annie", &[("key_created", OK, "nightly job: chat:read account")]);
        let id = text(&key, "id");
        self.ask(keys(Method::POST, &format!("/{id}/rotate")), DESK, 200).await;
        self.leaves("annie", "annie", &[("key_rotated", OK, "-")]);
        for rows in [&[("key_revoked", OK, "-")][..], &[]] {
            self.ask(keys(Method::DELETE, &format!("/{id}")), DESK, 204).await;
            self.leaves("annie", "annie", rows);
        }
        let made = ["key", "create", "--user", "annie", "--name", "by hand", "--scopes", "chat:write"];
        let made = self.operate(service, &made).await;
        self.leaves("annie", NOBODY, &[("key_created", OK, "by hand: chat:write")]);
        self.operate(service, &["key", "revoke", &printed(&made, "id ")]).await;
        self.leaves("annie", NOBODY, &[("key_revoked", OK, "-")]);
    }

    async fn roles_come_and_go(&mut self, service: &Service, admin: &str) {
        for role in ["auditor", "admin"] {
            self.operate(service, &["user", "grant", "bob@example.com", role]).await;
            self.leaves("bob@example.com", NOBODY, &[("role_granted", OK, role)]);
        }
        let path = "/api/v1/users/bob@example.com/roles/admin";
        self.ask(service.request(Method::DELETE, path).bearer_auth(admin), DESK, 204).await;
        self.leaves("bob@example.com", "root", &[("role_revoked", OK, "admin")]);
        (self.bob, _) = self.sign_in(service, "bob@example.com", PASSWORD, 200).await;
        self.leaves("bob@example.com", "bob@example.com", &[("sign_in", OK, "-")]);
        self.read(service, "?user=annie&limit=1").await;
        self.leaves("annie", "bob@example.com", &[("audit_read", OK, "page")]);
        // One's own is nobody else's business.
        self.read(service, "?user=bob@example.com").await;
    }

    async fn somebody_is_disabled(&mut self, service: &Service, admin: &str) {
        let made = self.operate(service, &["user", "create", "carl", "--email", "carl@example.com"]).await;
        self.leaves("carl", NOBODY, &[("registered", OK, "-")]);
        let password = printed(&made, "password ");
        let change = |what: &str| {
            let path = format!("/api/v1/users/carl@example.com/{what}");
            service.request(Method::POST, &path).bearer_auth(admin)
        };
        let disabled = [("user_disabled", OK, "-"), ("sign_ins_ended", OK, "disabled")];
        for rows in [&disabled[..], &[]] {
            self.ask(change("disable"), DESK, 204).await;
            self.leaves("carl", "root", rows);
        }
        for (password, reason) in [(password.as_str(), "disabled"), ("not-the-password", "wrong_password")] {
            self.sign_in(service, "carl", password, 401).await;
            self.leaves("carl", NOBODY, &[("sign_in_failed", REFUSED, reason)]);
        }
        self.ask(change("enable"), DESK, 204).await;
        self.leaves("carl", "root", &[("user_enabled", OK, "-")]);
        self.sign_in(service, "carl", &password, 200).await;
        self.leaves("carl", "carl", &[("sign_in", OK, "-")]);
    }

    async fn an_operator_steps_in(&mut self, service: &Service) {
        let kid = printed(&self.operate(service, &["key", "rotate"]).await, "kid ");
        self.leaves(NOBODY, NOBODY, &[("signing_key_rotated", OK, &kid)]);
        self.operate(service, &["user", "reset-password", "carl"]).await;
        let reset = [("password_changed", OK, "-"), ("sign_ins_ended", OK, "password_changed")];
        self.leaves("carl", NOBODY, &reset);
    }
}
