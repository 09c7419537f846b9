//! `colloquy user`.

use reqwest::Method;
use serde_json::json;
use tests::service::said;
use tests::{Service, on_both_engines};

use crate::{at_once, fails, is_out_at_once, me, printed, status, token};

const PASSWORD: &str = "correct horse battery";

async fn create(service: &Service, name: &str) -> String {
    printed(&service.operate(["user", "create", name]).await, "password")
}

/// Whether somebody may read what is not their own.
async fn audits(service: &Service, token: &str) -> bool {
    let path = "/api/v1/audit/tokens?user=root";
    match service.request(Method::GET, path).bearer_auth(token).send().await.unwrap().status().as_u16() {
        200 => true,
        403 => false,
        other => panic!("{other}"),
    }
}

on_both_engines! {
    async fn who_was_made_can_sign_in_with_what_was_printed(service: Service) {
        let args = ["user", "create", "Root", "--admin", "--email", "root@example.com", "--display-name", "The Root"];
        let made = service.operate(args).await;
        let password = printed(&made, "password");
        assert_eq!((made.lines().count(), password.len()), (2, 24));
        for name in ["root", "ROOT@example.com"] {
            let who = me(&service, &token(&service, name, &password).await).await.unwrap();
            assert_eq!(who["id"], printed(&made, "user").as_str());
            assert_eq!((&who["username"], &who["email"]), (&json!("Root"), &json!("root@example.com")));
            assert_eq!((&who["name"], &who["roles"]), (&json!("The Root"), &json!(["admin"])));
        }
        let only_email = service.operate(["user", "create", "--email", "ann@example.com"]).await;
        let ann = token(&service, "ann@example.com", &printed(&only_email, "password")).await;
        assert_eq!(me(&service, &ann).await.unwrap()["roles"], json!([]));
        assert_ne!(printed(&only_email, "password"), password);
    }

    async fn a_password_can_be_given_and_is_not_repeated(service: Service) {
        let args = ["user", "create", "ann", "--password-stdin"];
        let output = service.binary.run_told(PASSWORD, args).await;
        assert!(output.status.success() && !said(&output).contains(PASSWORD), "{}", said(&output));
        token(&service, "ann", PASSWORD).await;
        let args = ["user", "reset-password", "ann", "--password-stdin"];
        let output = service.binary.run_told("another horse", args).await;
        assert_eq!((output.status.success(), said(&output).as_str()), (true, ""));
        assert_eq!(status(&service, "ann", PASSWORD).await, 401);
        token(&service, "ann", "another horse").await;
        for args in [&["user", "create", "bob", "--password-stdin"][..], &args] {
            let words = fails(&service, "hunter2", args).await;
            assert!(words.contains("the password must have at least 8 characters"), "{words}");
            assert!(!words.contains("hunter2"), "{words}");
        }
    }

    async fn a_name_that_is_taken_or_wrong_makes_nobody(service: Service) {
        service.operate(["user", "create", "ann", "--email", "ann@example.com"]).await;
        for (args, words) in [
            (&["ANN"][..], "the user name is taken"),
            (&["bob", "--email", "Ann@Example.com"], "the email is taken"),
            (&["bob@example.com"], "the user name must not contain '@'"),
            (&["bob", "--email", "bob"], "the email must be an email address"),
            (&[], "a user needs a user name or an email"),
            (&["  "], "the user name must not be blank"),
            (&["bob", "--display-name", "B\u{202e}ob"], "the name must not contain control characters"),
        ] {
            let failed = fails(&service, "", &[&["user", "create"], args].concat()).await;
            assert!(failed.contains(words), "{args:?}: {failed}");
        }
        // Neither of the two names is taken by who was refused for the other.
        service.operate(["user", "create", "bob", "--email", "bob@example.com"]).await;
    }

    async fn who_is_not_there_is_told_so(service: Service) {
        for args in [
            &["grant", "nobody", "admin"][..],
            &["revoke", "nobody", "admin"],
            &["disable", "nobody@example.com"],
            &["enable", "01980000-0000-7000-8000-000000000000"],
            &["reset-password", "nobody"],
        ] {
            let failed = fails(&service, "", &[&["user"], args].concat()).await;
            assert!(failed.contains("there is no such user"), "{args:?}: {failed}");
        }
        create(&service, "ann").await;
        let output = service.binary.run(["user", "grant", "ann", "emperor"]).await;
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }

    async fn a_role_counts_at_once_until_it_is_taken(service: Service) {
        create(&service, "root").await;
        let ann = token(&service, "ann", &create(&service, "ann").await).await;
        assert!(!audits(&service, &ann).await);
        for role in ["auditor", "admin"] {
            service.operate(["user", "grant", "ann", role]).await;
            at_once("a role", async || audits(&service, &ann).await).await;
            assert_eq!(me(&service, &ann).await.unwrap()["roles"], json!([role]));
            service.operate(["user", "revoke", "ann", role]).await;
            at_once("the end of a role", async || !audits(&service, &ann).await).await;
        }
        // What is so already is no fault.
        service.operate(["user", "revoke", "ann", "admin"]).await;
        assert_eq!(me(&service, &ann).await.unwrap()["roles"], json!([]));
    }

    async fn who_is_disabled_is_out_at_once_and_must_sign_in_anew(service: Service) {
        let password = create(&service, "ann").await;
        let ann = token(&service, "ann", &password).await;
        let key = ["key", "create", "--user", "ann", "--name", "job", "--scopes", "account"];
        let key = printed(&service.operate(key).await, "key");
        let with_key = async || {
            let me = service.request(Method::GET, "/api/v1/users/me").header("x-api-key", &key);
            me.send().await.unwrap().status()
        };
        assert_eq!(with_key().await, 200);
        service.operate(["user", "disable", "ann"]).await;
        is_out_at_once(&service, &ann).await;
        at_once("the end of a key", async || with_key().await == 401).await;
        assert_eq!(status(&service, "ann", &password).await, 401);
        service.operate(["user", "enable", "ann"]).await;
        assert_eq!(me(&service, &ann).await, Err(401));
        let again = token(&service, "ann", &password).await;
        assert!(me(&service, &again).await.is_ok());
    }

    async fn a_reset_password_ends_all_sign_ins_at_once(service: Service) {
        let old = create(&service, "ann").await;
        let (desk, phone) = (token(&service, "ann", &old).await, token(&service, "ann", &old).await);
        let new = printed(&service.operate(["user", "reset-password", "ann"]).await, "password");
        is_out_at_once(&service, &desk).await;
        is_out_at_once(&service, &phone).await;
        assert_eq!(status(&service, "ann", &old).await, 401);
        let again = token(&service, "ann", &new).await;
        assert!(me(&service, &again).await.is_ok());
    }
}
