//! The story: everything that can be done with a secret, rightly and wrongly.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tests::Service;
use tests::service::SECRET;

use crate::search::Haystacks;
use crate::teller::{Teller, Tokens, text};

/// A text that is no secret, and must be found.
pub const MARKER: &str = "harmless-marker-7261";
pub const BOOTSTRAP: &str = "bootstrap-key-0815-4711";
pub const METRICS: (&str, &str) = ("prometheus", "metrics-passw0rd*");
/// The same as it is sent.
const METRICS_IN_BASE64: &str = "cHJvbWV0aGV1czptZXRyaWNzLXBhc3N3MHJkKg";
const PASSWORD: &str = "first-right-passw0rd*";
const NEW_PASSWORD: &str = "second-right-passw0rd*";
const TOLD_PASSWORD: &str = "told-on-standard-input-1*";
const RESET_PASSWORD: &str = "told-for-a-reset-1*";
/// How the private half of every signing key begins (PKCS #8 of Ed25519), and the same in base64: the rest nobody knows.
const PRIVATE_HALF: &str = "0.\x02\x01\x000\x05\x06\x03+ep\x04\"\x04 ";
const PRIVATE_HALF_IN_BASE64: &str = "MC4CAQAwBQYDK2VwBCIEI";

/// What a command printed after a word.
fn printed(output: &str, word: &str) -> String {
    output.lines().find_map(|line| line.strip_prefix(word)).unwrap().trim().to_owned()
}

impl<'a> Teller<'a> {
    pub async fn tell(service: &'a Service) -> Self {
        let mut teller = Self { service, secrets: Vec::new(), heard: Haystacks::default() };
        for (what, secret) in [
            ("SECRET_KEY", SECRET),
            ("API_KEY", BOOTSTRAP),
            ("METRICS_PASS", METRICS.1),
            ("a metrics login", METRICS_IN_BASE64),
            ("a password", PASSWORD),
            ("a new password", NEW_PASSWORD),
            ("a password from the standard input", TOLD_PASSWORD),
            ("a reset password", RESET_PASSWORD),
            ("a signing key", PRIVATE_HALF),
            ("a signing key in base64", PRIVATE_HALF_IN_BASE64),
        ] {
            teller.is_secret(what, secret);
        }
        teller.wrong_bodies().await;
        let ann = teller.sign_ins().await;
        teller.refreshes(&ann).await;
        let ann = teller.sign_in("ann@example.com", PASSWORD).await;
        teller.wrong_places(&ann).await;
        teller.changes(&ann).await;
        teller.keys(&ann).await;
        teller.operator().await;
        teller.reads().await;
        teller.ends().await;
        teller
    }

    async fn wrong_bodies(&mut self) {
        let json = |request: RequestBuilder, body: &str| {
            request.header("content-type", "application/json").body(body.to_owned())
        };
        let secret = self.is_secret("a password in a broken body", "broken-body-passw0rd*");
        for body in [
            format!(r#"{{"email": "ann@example.com", "password": "{secret}"#),
            format!(r#"{{"email": "ann@example.com", "password": {secret}}}"#),
        ] {
            self.hears(json(self.post("login"), &body), 400).await;
        }
        let secret = self.is_secret("a password that does not fit", "unfit-passw0rd*");
        for (path, body) in [
            ("login", json!({"email": "ann@example.com", "password": [secret]})),
            ("login", json!({"email": {"password": secret}, "password": secret})),
            ("login", json!({"password": secret})),
            ("login", json!([secret])),
            ("register", json!({"name": "Ann", "email": secret, "password": secret})),
            ("register", json!({"name": "", "email": "ann@example.com", "password": secret})),
            ("register", json!({"name": "Ann", "email": "ann@example.com", "password": secret.repeat(20)})),
        ] {
            self.hears(self.post(path).json(&body), 422).await;
        }
        let secret = self.is_secret("a short password", "sh0rt*!");
        let body = json!({"name": "Ann", "email": "ann@example.com", "password": secret});
        self.hears(self.post("register").json(&body), 422).await;
        let secret = self.is_secret("a password in a form", "form-passw0rd*");
        let form = "application/x-www-form-urlencoded";
        let body = format!("username=ann&password={secret}");
        self.hears(self.post("login").header("content-type", form).body(body), 415).await;
        let secret = self.is_secret("a password in a body that is too large", "large-body-passw0rd*");
        self.hears(self.post("login").json(&json!({"email": "x".repeat(1 << 20), "password": secret})), 413).await;
    }

    async fn sign_ins(&mut self) -> Tokens {
        for name in ["ann", "bob"] {
            let email = format!("{name}@example.com");
            let body = json!({"name": name, "username": name, "email": email, "password": PASSWORD});
            self.hears(self.post("register").json(&body), 201).await;
            self.hears(self.post("register").json(&body), 409).await;
        }
        let wrong = self.is_secret("a wrong password", "wrong-passw0rd*");
        let typed = self.is_secret("a password in the place of the name", "typed-into-the-name*");
        for (name, password) in [("ann", &wrong), ("nobody", &wrong), (typed.as_str(), &typed), ("ann@ ", &typed)] {
            for field in ["email", "username"] {
                self.hears(self.post("login").json(&json!({field: name, "password": password})), 401).await;
            }
        }
        self.sign_in("ann", PASSWORD).await
    }

    async fn refreshes(&mut self, first: &Tokens) {
        let second = self.refresh(&first.refresh).await;
        let third = self.refresh(&second.refresh).await;
        self.hears(self.get("/api/v1/users/me").bearer_auth(&third.access), 200).await;
        let mut mistyped = third.refresh.clone();
        mistyped.truncate(mistyped.len() - 1);
        let foreign = self.post("refresh-token").header("cookie", format!("refresh_token={}", third.refresh));
        self.hears(foreign.header("origin", "https://evil.example"), 403).await;
        // The first is reuse; and then all of them are over.
        for token in [&mistyped, &first.refresh, &second.refresh, &third.refresh, &third.access] {
            self.hears(self.post("refresh-token").header("x-refresh-token", token), 401).await;
            self.hears(self.post("logout").header("cookie", format!("refresh_token={token}")), 401).await;
        }
        self.hears(self.get("/api/v1/users/me").bearer_auth(&third.access), 401).await;
    }

    /// Secrets where they do not belong.
    async fn wrong_places(&mut self, ann: &Tokens) {
        let (access, refresh) = (&ann.access, &ann.refresh);
        let nowhere = format!("/nowhere/{MARKER}");
        for secret in [access, refresh, PASSWORD, BOOTSTRAP] {
            for name in ["token", "password", "api_key"] {
                self.hears(self.get(&nowhere).query(&[(name, secret)]), 404).await;
            }
            self.hears(self.get("/api/v1/users/me").query(&[("access_token", secret)]), 401).await;
            for (path, name, status) in [
                ("/api/v1/chat/history", "before", 422),
                ("/api/v1/chat/history", "session_id", 404),
                ("/api/v1/audit/tokens", "user", 403),
                ("/api/v1/audit/tokens", "kind", 422),
                ("/api/v1/audit/tokens", "since", 422),
                ("/api/v1/audit/tokens", "before", 422),
            ] {
                self.hears(self.get(path).bearer_auth(access).query(&[(name, secret)]), status).await;
            }
        }
        let tampered = format!("{access}x");
        for wrong in [refresh.as_str(), &tampered, PASSWORD, BOOTSTRAP, SECRET] {
            self.hears(self.get("/api/v1/users/me").bearer_auth(wrong), 401).await;
        }
        for wrong in [refresh.as_str(), access, PASSWORD] {
            self.hears(self.get("/api/v1/users/me").header("x-api-key", wrong), 401).await;
            self.hears(self.get("/metrics").basic_auth(METRICS.0, Some(wrong)), 401).await;
            self.hears(self.get("/metrics").bearer_auth(wrong), 401).await;
            self.hears(self.get("/api/v1/users/me").header("cookie", format!("refresh_token={wrong}")), 401).await;
        }
        let issued = self.service.request(Method::POST, "/api/v1/chat/ws-ticket").bearer_auth(access);
        let ticket = text(&self.send(issued, 200, true).await, "ticket");
        let ticket = self.is_secret("a ticket", &ticket);
        for (name, proof, status) in [
            ("ticket", PASSWORD, 401),
            ("token", refresh.as_str(), 401),
            ("token", access.as_str(), 426),
            ("ticket", ticket.as_str(), 426),
        ] {
            self.hears(self.get("/api/v1/chat/ws").query(&[(name, proof)]), status).await;
        }
    }

    async fn changes(&mut self, ann: &Tokens) {
        let wrong = self.is_secret("a wrong password for a change", "wrong-for-change-1*");
        for (current, status) in [(wrong.as_str(), 403), (PASSWORD, 204)] {
            let body = json!({"current_password": current, "new_password": NEW_PASSWORD});
            self.hears(self.post("me/password").bearer_auth(&ann.access).json(&body), status).await;
        }
        for (current, status) in [(wrong.as_str(), 403), (NEW_PASSWORD, 200)] {
            let body = json!({"email": "ann@example.org", "current_password": current});
            let change = self.service.request(Method::PATCH, "/api/v1/users/me").bearer_auth(&ann.access).json(&body);
            self.hears(change, status).await;
        }
        let body = json!({"message": format!("hello, {MARKER}")});
        let chat = self.service.request(Method::POST, "/api/v1/chat").json(&body);
        self.hears(chat.try_clone().unwrap().bearer_auth(&ann.access), 200).await;
        self.hears(chat.header("x-api-key", BOOTSTRAP), 200).await;
    }

    async fn keys(&mut self, ann: &Tokens) {
        let keys =
            |method, path: &str| self.service.request(method, &format!("/api/v1/keys{path}")).bearer_auth(&ann.access);
        let (create, list) = (keys(Method::POST, ""), keys(Method::GET, ""));
        let create = create.json(&json!({"name": MARKER, "scopes": ["account"]}));
        let made = self.send(create, 201, true).await;
        let (id, first) = (text(&made, "id"), self.is_secret("an API key", &text(&made, "key")));
        let request = |method, path: &str| {
            self.service.request(method, &format!("/api/v1/keys/{id}{path}")).bearer_auth(&ann.access)
        };
        let (rotate, revoke) = (request(Method::POST, "/rotate"), request(Method::DELETE, ""));
        let rotated = self.send(rotate, 200, true).await;
        let second = self.is_secret("a rotated API key", &text(&rotated, "key"));
        let mistyped = format!("{second}x");
        for (key, status) in [(&first, 200), (&second, 200), (&mistyped, 401)] {
            self.hears(self.get("/api/v1/users/me").header("x-api-key", key), status).await;
        }
        self.hears(self.get("/api/v1/chat/history").header("x-api-key", &second), 403).await;
        self.hears(list, 200).await;
        self.hears(revoke, 204).await;
        self.hears(self.get("/api/v1/users/me").header("x-api-key", &second), 401).await;
    }

    async fn operator(&mut self) {
        self.operate(TOLD_PASSWORD, &["user", "create", "root", "--admin", "--password-stdin"], false).await;
        self.operate(TOLD_PASSWORD, &["user", "create", "root", "--admin", "--password-stdin"], false).await;
        self.operate(RESET_PASSWORD, &["user", "reset-password", "bob", "--password-stdin"], false).await;
        let short = self.is_secret("a short password from the standard input", "sh0rt-*");
        self.operate(&short, &["user", "reset-password", "bob", "--password-stdin"], false).await;
        let made = self.operate("", &["user", "create", "carl"], true).await;
        self.is_secret("a password that was made up", &printed(&made, "password"));
        let reset = self.operate("", &["user", "reset-password", "carl"], true).await;
        self.is_secret("a password that was made up for a reset", &printed(&reset, "password"));
        let made = self.operate("", &["key", "create", "--user", "carl", "--name", MARKER], true).await;
        let key = self.is_secret("a key that was made at the machine", &printed(&made, "key"));
        self.operate("", &["key", "revoke", &key], false).await;
        self.operate("", &["key", "revoke", &printed(&made, "id")], false).await;
        self.operate("", &["key", "rotate"], false).await;
        for what in [&["grant", "carl", "auditor"][..], &["revoke", "carl", "auditor"], &["disable", "carl"]] {
            self.operate("", &[&["user"], what].concat(), false).await;
        }
    }

    async fn reads(&mut self) {
        let root = self.sign_in("root", TOLD_PASSWORD).await;
        for path in [
            "/live",
            "/ready",
            "/api/v1/health",
            "/.well-known/jwks.json",
            "/api/v1/users/me",
            "/api/v1/users/me/sign-ins",
            "/api/v1/users/ann",
            "/api/v1/keys",
            "/api/v1/chat/history",
            "/api/v1/audit/tokens?limit=1000",
            "/api/v1/audit/tokens?format=ndjson",
            "/api/v1/audit/tokens?format=csv",
        ] {
            self.hears(self.get(path).bearer_auth(&root.access), 200).await;
        }
        self.hears(self.get("/metrics").basic_auth(METRICS.0, Some(METRICS.1)), 200).await;
        for form in [&["--limit", "1000"][..], &["--limit", "1000", "--json"]] {
            self.operate("", &[&["audit", "tokens"], form].concat(), false).await;
        }
        for model in projections::ReadModels::NAMES {
            self.operate("", &["rebuild", model], false).await;
        }
    }

    /// The last of the story leaves a sealed successor behind.
    async fn ends(&mut self) {
        let bob = self.sign_in("bob", RESET_PASSWORD).await;
        self.hears(self.post("logout").header("x-refresh-token", &bob.refresh), 204).await;
        let bob = self.sign_in("bob", RESET_PASSWORD).await;
        self.hears(self.post("logout-all").bearer_auth(&bob.access), 204).await;
        let bob = self.sign_in("bob", RESET_PASSWORD).await;
        self.refresh(&bob.refresh).await;
    }
}
