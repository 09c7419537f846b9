//! Keys for programs, roles, and the keys that sign: over HTTP, on both engines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::collections::BTreeSet;
use std::time::Duration;

use api::{Algorithm, BootstrapKey};
use domain::values::Role;
use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::app::Options;
use tests::stage::{Play, Stage};
use tests::{Persona, TestApp, on_both_engines};

const DAY: i64 = 86_400;
const BOOTSTRAP: &str = "a key that was set when all was set up";

/// A service with a bootstrap key, whose tokens are signed by keys of its own.
struct Signing(TestApp);

impl Play for Signing {
    async fn on(stage: Stage) -> Self {
        let bootstrap_key = Some(BootstrapKey::new(BOOTSTRAP));
        let options = Options { algorithm: Algorithm::EdDsa, bootstrap_key, ..Options::default() };
        Self(TestApp::start(stage, options).await)
    }
}

async fn create(who: &Persona<'_>, body: Value) -> Response {
    who.request(Method::POST, "/api/v1/keys").json(&body).send().await.unwrap()
}

async fn created(who: &Persona<'_>, body: Value) -> Value {
    let answer = create(who, body).await;
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// Asks for a key under a request's name.
async fn again(who: &Persona<'_>, name: &str, body: &Value) -> (u16, Value) {
    let request = who.request(Method::POST, "/api/v1/keys").header("idempotency-key", name);
    let answer = request.json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn with(app: &TestApp, key: &Value, method: Method, path: &str) -> u16 {
    let request = app.request(method, path).header("x-api-key", key.as_str().unwrap());
    request.send().await.unwrap().status().as_u16()
}

async fn history(app: &TestApp, key: &Value) -> u16 {
    with(app, key, Method::GET, "/api/v1/chat/history").await
}

on_both_engines! {
    async fn a_key_acts_for_its_user_within_its_scopes(app: TestApp) {
        let ann = app.user("ann").await;
        let key = created(&ann, json!({"name": "nightly job"})).await;
        assert_eq!(key["scopes"], json!(["chat:read", "chat:write"]));
        assert!(key["key"].as_str().unwrap().starts_with("cak_"));
        let post = app.request(Method::POST, "/api/v1/chat").header("x-api-key", key["key"].as_str().unwrap());
        assert_eq!(post.json(&json!({"message": "hello"})).send().await.unwrap().status(), 200);
        app.settle().await;
        assert_eq!(ann.history("").await["total"], 2, "it is ann who has said it");
        assert_eq!(with(&app, &key["key"], Method::GET, "/api/v1/keys").await, 403);
        let listed: Value = ann.request(Method::GET, "/api/v1/keys").send().await.unwrap().json().await.unwrap();
        assert_eq!((&listed[0]["id"], &listed[0]["name"]), (&key["id"], &json!("nightly job")));
        assert!(!listed.to_string().contains(key["key"].as_str().unwrap()), "a key is shown once");
    }

    async fn a_key_ends_when_it_is_revoked_expires_or_its_user_is_disabled(app: TestApp) {
        let ann = app.user("ann").await;
        let keys = [json!({"name": "a"}), json!({"name": "b", "expires_in_days": 2}), json!({"name": "c"})];
        let [revoked, expiring, lasting] = [&keys[0], &keys[1], &keys[2]].map(|body| created(&ann, body.clone()));
        let (revoked, expiring, lasting) = (revoked.await, expiring.await, lasting.await);
        for key in [&revoked, &expiring, &lasting] {
            assert_eq!(history(&app, &key["key"]).await, 200);
        }
        let path = format!("/api/v1/keys/{}", revoked["id"].as_str().unwrap());
        let bob = app.user("bob").await;
        assert_eq!(bob.request(Method::DELETE, &path).send().await.unwrap().status(), 404, "not bob's");
        assert_eq!(history(&app, &revoked["key"]).await, 200);
        assert_eq!(ann.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        assert_eq!(history(&app, &revoked["key"]).await, 401, "at once");
        app.clock.advance(2 * DAY);
        assert_eq!((history(&app, &expiring["key"]).await, history(&app, &lasting["key"]).await), (401, 200));
        app.operator().disable("ann@example.com").await.unwrap();
        let out = async { while history(&app, &lasting["key"]).await == 200 { tokio::task::yield_now().await; } };
        tokio::time::timeout(Duration::from_secs(1), out).await.unwrap();
    }

    async fn a_rotated_key_has_two_secrets_for_a_while(app: TestApp) {
        let ann = app.user("ann").await;
        let old = created(&ann, json!({"name": "job"})).await;
        assert_eq!(history(&app, &old["key"]).await, 200);
        let path = format!("/api/v1/keys/{}/rotate", old["id"].as_str().unwrap());
        let answer = ann.request(Method::POST, &path).json(&json!({"overlap_seconds": 60})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let new: Value = answer.json().await.unwrap();
        assert_eq!(new["id"], old["id"]);
        assert_ne!(new["key"], old["key"]);
        assert_eq!((history(&app, &old["key"]).await, history(&app, &new["key"]).await), (200, 200));
        app.clock.advance(60);
        assert_eq!((history(&app, &old["key"]).await, history(&app, &new["key"]).await), (401, 200));
        assert_eq!(ann.request(Method::POST, &path).send().await.unwrap().status(), 200, "no body is one, too");
        let at_once = ann.request(Method::POST, &path).json(&json!({"overlap_seconds": 0})).send().await.unwrap();
        assert_eq!(at_once.headers()["cache-control"], "no-store");
        let newest: Value = at_once.json().await.unwrap();
        assert_eq!((history(&app, &new["key"]).await, history(&app, &newest["key"]).await), (401, 200));
    }

    async fn a_key_that_is_asked_for_again_is_the_same(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let body = json!({"name": "job", "scopes": ["keys", "chat:read"], "expires_in_days": 2});
        let first = again(&ann, "one", &body).await;
        app.clock.advance(60);
        assert_eq!((first.0, &again(&ann, "one", &body).await), (201, &first), "its end, too");
        assert_eq!(history(&app, &first.1["key"]).await, 200);
        let others = [again(&ann, "two", &body).await, again(&bob, "one", &body).await, again(&bob, "two", &body).await];
        let secrets: BTreeSet<&str> = others.iter().chain([&first]).map(|it| it.1["key"].as_str().unwrap()).collect();
        assert_eq!(secrets.len(), 4);
        for other in [
            json!({"name": "Job", "scopes": ["keys", "chat:read"], "expires_in_days": 2}), json!({"name": "job", "expires_in_days": 2}),
            json!({"name": "job", "scopes": ["keys", "chat:read"]}),
        ] {
            assert_eq!(again(&ann, "one", &other).await.0, 422, "{other}");
        }
        let made = || app.request(Method::POST, "/api/v1/keys").header("idempotency-key", "one");
        let brief = created(&ann, json!({"name": "brief", "scopes": ["keys", "chat:read"], "expires_in_days": 1})).await;
        let mightier = made().header("x-api-key", brief["key"].as_str().unwrap()).json(&body).send().await.unwrap();
        assert_eq!(mightier.status(), 403, "it would outlive who asks");
        let at_once = join_all((0..8).map(|_| again(&ann, "three", &body))).await;
        assert!(at_once.iter().all(|it| it == &at_once[0] && it.0 == 201), "{at_once:?}");
        app.settle().await;
        let listed: Value = ann.request(Method::GET, "/api/v1/keys").send().await.unwrap().json().await.unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 4);
        let path = format!("/api/v1/keys/{}", first.1["id"].as_str().unwrap());
        assert_eq!(ann.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        assert_eq!(again(&ann, "one", &body).await.0, 410, "it was revoked");
        app.clock.advance(2 * DAY);
        assert_eq!(again(&app.sign_in("ann@example.com").await, "two", &body).await.0, 410, "it has ended");
    }

    async fn a_rotation_that_is_asked_for_again_leaves_the_old_secret_good(app: TestApp) {
        let ann = app.user("ann").await;
        let (status, old) = again(&ann, "one", &json!({"name": "job"})).await;
        assert_eq!(status, 201);
        let path = format!("/api/v1/keys/{}/rotate", old["id"].as_str().unwrap());
        let rotate_for = async |name, overlap: u32| {
            let request = ann.request(Method::POST, &path).header("idempotency-key", name);
            let answer = request.json(&json!({"overlap_seconds": overlap})).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let rotate = |name| rotate_for(name, 100);
        let first = rotate("one").await;
        app.clock.advance(60);
        assert_eq!((first.0, &rotate("one").await), (200, &first));
        assert_eq!(rotate_for("one", 0).await, first, "as was said first");
        assert_eq!((history(&app, &old["key"]).await, history(&app, &first.1["key"]).await), (200, 200));
        assert_eq!(again(&ann, "one", &json!({"name": "job"})).await.0, 410, "it has another secret");
        let second = rotate("two").await;
        assert_ne!(second.1["key"], first.1["key"]);
        assert_eq!(rotate("one").await.0, 410, "nor does that one come back");
        assert_eq!((history(&app, &second.1["key"]).await, rotate("").await.0), (200, 422));
    }

    async fn no_key_makes_a_mightier_one(app: TestApp) {
        let ann = app.user("ann").await;
        let key = created(&ann, json!({"name": "maker", "scopes": ["keys", "chat:read"]})).await;
        let make = |scopes: Value| {
            let request = app.request(Method::POST, "/api/v1/keys").header("x-api-key", key["key"].as_str().unwrap());
            request.json(&json!({"name": "made", "scopes": scopes})).send()
        };
        assert_eq!(make(json!(["account"])).await.unwrap().status(), 403);
        assert_eq!(make(json!(["chat:read"])).await.unwrap().status(), 201);
        let mighty = created(&ann, json!({"name": "mighty", "scopes": ["account", "chat:read"]})).await;
        let path = format!("/api/v1/keys/{}/rotate", mighty["id"].as_str().unwrap());
        assert_eq!(with(&app, &key["key"], Method::POST, &path).await, 403, "nor gets hold of one");
        assert_eq!(with(&app, &mighty["key"], Method::GET, "/api/v1/users/me").await, 200);
        let brief = created(&ann, json!({"name": "brief", "scopes": ["keys"], "expires_in_days": 1})).await;
        let make = app.request(Method::POST, "/api/v1/keys").header("x-api-key", brief["key"].as_str().unwrap());
        let made = make.json(&json!({"name": "made", "scopes": ["keys"]})).send().await.unwrap();
        assert_eq!(made.json::<Value>().await.unwrap()["expires_at"], brief["expires_at"], "nor one that outlives it");
        let endless = created(&ann, json!({"name": "endless", "scopes": ["keys"]})).await;
        let path = format!("/api/v1/keys/{}/rotate", endless["id"].as_str().unwrap());
        assert_eq!(with(&app, &brief["key"], Method::POST, &path).await, 403, "nor gets hold of one");
        for body in [
            json!({"name": ""}), json!({"name": "x", "scopes": []}), json!({"name": "x", "scopes": ["root"]}),
            json!({"name": "x", "expires_in_days": 0}), json!({"name": "x", "expires_in_days": 3_651}), json!({}),
        ] {
            assert_eq!(create(&ann, body.clone()).await.status(), 422, "{body}");
        }
    }

    async fn the_bootstrap_key_is_a_user_of_its_own(app: Signing) {
        let app = app.0;
        let key = json!(BOOTSTRAP);
        let post = app.request(Method::POST, "/api/v1/chat").header("x-api-key", BOOTSTRAP);
        assert_eq!(post.json(&json!({"message": "hello"})).send().await.unwrap().status(), 200);
        app.settle().await;
        assert_eq!(history(&app, &key).await, 200);
        assert_eq!(with(&app, &key, Method::GET, "/api/v1/keys").await, 403);
        assert_eq!(history(&app, &json!("a key that was not set when all was")).await, 401);
    }

    async fn signing_keys_are_shown_and_rotate_without_signing_anyone_out(app: Signing) {
        let app = app.0;
        let ann = app.user("ann").await;
        let jwks = async || -> Value {
            app.request(Method::GET, "/.well-known/jwks.json").send().await.unwrap().json().await.unwrap()
        };
        let before = jwks().await;
        assert_eq!((&before["keys"][0]["kty"], &before["keys"][0]["alg"]), (&json!("OKP"), &json!("EdDSA")));
        app.clock.advance(1);
        let secret = api::SecretKey::try_from("a secret that is good for tests alone".to_owned()).unwrap();
        let kid = app.operator().rotate_signing_key(&secret, false).await.unwrap();
        let heard = async { while jwks().await["keys"].as_array().unwrap().len() == 1 { tokio::task::yield_now().await; } };
        tokio::time::timeout(Duration::from_secs(1), heard).await.unwrap();
        assert!(jwks().await.to_string().contains(&kid.to_string()));
        let next = ann.refresh().await.ok().unwrap();
        assert!(ann.is_in().await && next.is_in().await, "what either key has signed is good");
    }

    async fn an_administrator_manages_accounts_and_loses_the_right_at_once(app: TestApp) {
        let (boss, ann) = (app.user_with("boss", Role::Admin).await, app.user("ann").await);
        let status = async |who: &Persona<'_>, method: Method, path: &str| {
            who.request(method, &format!("/api/v1/users/{path}")).send().await.unwrap().status().as_u16()
        };
        let lost = ann.refresh().await.ok().unwrap();
        assert_eq!(status(&boss, Method::PUT, "ann@example.com/roles/auditor").await, 204);
        assert_eq!(ann.refresh().await.ok().unwrap().refresh_token, lost.refresh_token, "a role ends no sign-in");
        let shown = boss.request(Method::GET, "/api/v1/users/ann@example.com").send().await.unwrap();
        assert_eq!(shown.json::<Value>().await.unwrap()["roles"], json!(["auditor"]));
        assert_eq!(status(&boss, Method::DELETE, "ann@example.com/roles/auditor").await, 204);
        assert_eq!(status(&boss, Method::POST, "ann@example.com/disable").await, 204);
        assert!(!ann.is_in().await);
        assert_eq!(status(&boss, Method::POST, "ann@example.com/enable").await, 204);
        for (method, path) in [(Method::GET, "nobody"), (Method::POST, "nobody/disable"), (Method::PUT, "boss@example.com/roles/king")] {
            assert_eq!(status(&boss, method, path).await, 404, "{path}");
        }
        app.operator().revoke("boss@example.com", Role::Admin).await.unwrap();
        assert_eq!(status(&boss, Method::GET, "ann@example.com").await, 403, "roles are not in the token");
    }
}
