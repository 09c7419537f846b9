//! `colloquy key`.

use reqwest::Method;
use serde_json::Value;
use tests::service::said;
use tests::{Service, Stage, on_both_engines};

use crate::{at_once, fails, me, printed, token};

async fn status_with(service: &Service, key: &str) -> u16 {
    let me = service.request(Method::GET, "/api/v1/users/me").header("x-api-key", key);
    me.send().await.unwrap().status().as_u16()
}

/// The ids of the keys that anybody can check access tokens with.
async fn published(service: &Service) -> Vec<String> {
    let answer = service.request(Method::GET, "/.well-known/jwks.json").send().await.unwrap();
    let keys: Value = answer.json().await.unwrap();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

on_both_engines! {
    async fn a_key_is_good_at_once_until_it_is_revoked(service: Service) {
        service.operate(["user", "create", "ann"]).await;
        let args = ["key", "create", "--user", "ann", "--name", "job", "--scopes", "account,chat:read"];
        let made = service.operate([&args[..], &["--expires-in-days", "30"]].concat()).await;
        let (id, key) = (printed(&made, "id"), printed(&made, "key"));
        assert!(key.starts_with(&format!("cak_{}_", id.replace('-', ""))), "{made}");
        assert_eq!(status_with(&service, &key).await, 200);
        service.operate(["key", "revoke", &id]).await;
        at_once("the end of a key", async || status_with(&service, &key).await == 401).await;
        let again = fails(&service, "", &["key", "revoke", &id]).await;
        assert!(again.contains("there is no such key"), "{again}");

        let usual = service.operate(["key", "create", "--user", "ann", "--name", "chat"]).await;
        assert_eq!(status_with(&service, &printed(&usual, "key")).await, 403, "a key is for the chat, unless it is said");
    }

    async fn a_key_that_can_not_be_is_refused(service: Service) {
        service.operate(["user", "create", "ann"]).await;
        for (args, words) in [
            (["--user", "nobody", "--name", "job"], "there is no such user"),
            (["--user", "ann", "--name", " "], "the name must not be blank"),
        ] {
            let failed = fails(&service, "", &[&["key", "create"], &args[..]].concat()).await;
            assert!(failed.contains(words), "{failed}");
        }
        let output = service.binary.run(["key", "create", "--user", "ann", "--name", "job", "--scopes", "all"]).await;
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        // The whole key in the place of its id: it is no id, and is not repeated.
        let made = service.operate(["key", "create", "--user", "ann", "--name", "job"]).await;
        let key = printed(&made, "key");
        let failed = fails(&service, "", &["key", "revoke", &key]).await;
        assert!(failed.contains("there is no such key") && !failed.contains(&key[40..]), "{failed}");
    }

    async fn signing_keys_rotate_and_nobody_is_signed_out(stage: Stage) {
        let service = Service::start(stage, &[("ALGORITHM", "EdDSA")]).await;
        let password = printed(&service.operate(["user", "create", "ann"]).await, "password");
        let before = token(&service, "ann", &password).await;
        let old = published(&service).await;
        let kid = printed(&service.operate(["key", "rotate"]).await, "kid");
        assert!(!old.contains(&kid));
        at_once("a new key", async || published(&service).await.contains(&kid)).await;
        assert!(old.iter().all(|old| old != &kid) && published(&service).await.contains(&old[0]));
        let after = token(&service, "ann", &password).await;
        for token in [&before, &after] {
            assert!(me(&service, token).await.is_ok());
        }
    }

    async fn hs256_has_no_key_to_rotate(service: Service) {
        let log = &service.stage.log;
        let before = log.head().await.unwrap();
        for args in [&["key", "rotate"][..], &["key", "rotate", "--distrust-older"]] {
            let failed = fails(&service, "", args).await;
            assert!(failed.contains("the key of HS256 is SECRET_KEY itself"), "{failed}");
        }
        assert_eq!(store::signing_keys(log.db()).await.unwrap(), []);
        assert_eq!(log.head().await.unwrap(), before);
    }

    async fn what_a_key_signed_that_is_trusted_no_more_is_refused_at_once(stage: Stage) {
        let service = Service::start(stage, &[("ALGORITHM", "EdDSA")]).await;
        let password = printed(&service.operate(["user", "create", "ann"]).await, "password");
        let before = token(&service, "ann", &password).await;
        let kid = printed(&service.operate(["key", "rotate", "--distrust-older"]).await, "kid");
        at_once("the end of an older key", async || me(&service, &before).await == Err(401)).await;
        at_once("the new key alone", async || published(&service).await == [kid.as_str()]).await;
        let after = token(&service, "ann", &password).await;
        assert!(me(&service, &after).await.is_ok());
    }
}
