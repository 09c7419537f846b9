//! Signing in, staying signed in, signing out: over HTTP, on both engines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{LEEWAY_SECONDS, LIFETIME, PASSWORD};
use tests::{Persona, TestApp, on_both_engines};

const LEEWAY: i64 = LEEWAY_SECONDS as i64;
const DAY: i64 = 86_400;

/// How many events of a name the log has.
async fn count(app: &TestApp, name: &str) -> usize {
    let events = app.stage.log.read(store::Position::START, 10_000).await.unwrap();
    events.iter().filter(|event| event.event_type == name).count()
}

async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let request = app.request(Method::POST, &format!("/api/v1/users/{path}"));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

async fn change_password(who: &Persona<'_>, current: &str, new: &str) -> reqwest::Response {
    let body = json!({"current_password": current, "new_password": new});
    who.request(Method::POST, "/api/v1/users/me/password").json(&body).send().await.unwrap()
}

on_both_engines! {
    async fn a_sign_in_gives_both_tokens_and_a_cookie(app: TestApp) {
        app.user("ann").await;
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let answer = app.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let tokens: Value = answer.json().await.unwrap();
        let token = tokens["refresh_token"].as_str().unwrap();
        assert!(token.starts_with("crt_"));
        let rest = "Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict";
        assert_eq!(cookie, format!("refresh_token={token}; {rest}"));
        assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("bearer"), &json!(900)));
        let me = app.request(Method::GET, "/api/v1/users/me").bearer_auth(tokens["access_token"].as_str().unwrap());
        let me: Value = me.send().await.unwrap().json().await.unwrap();
        assert_eq!((&me["name"], &me["email"], &me["roles"]), (&json!("ann"), &json!("ann@example.com"), &json!([])));
    }

    async fn a_refresh_rotates_and_the_older_access_token_lives_on(app: TestApp) {
        let first = app.user("ann").await;
        let second = first.refresh().await.ok().unwrap();
        assert!(second.refresh_token != first.refresh_token && second.token != first.token);
        assert!(first.is_in().await && second.is_in().await);
        let third = second.refresh().await.ok().unwrap();
        assert!(third.is_in().await);
        assert_eq!(count(&app, "TokenRotated").await, 2);
    }

    async fn tabs_that_refresh_at_once_get_the_same_successor(app: TestApp) {
        let ann = app.user("ann").await;
        let tabs = join_all((0..12).map(|_| ann.refresh())).await;
        let tokens: Vec<_> = tabs.into_iter().map(|tab| tab.ok().unwrap().refresh_token).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(count(&app, "TokenRotated").await, 1);
        app.clock.advance(LEEWAY);
        assert_eq!(ann.refresh().await.ok().unwrap().refresh_token, tokens[0], "until the leeway is over");
    }

    async fn a_lost_answer_is_had_again_for_a_day_unless_it_was_used(app: TestApp) {
        let ann = app.user("ann").await;
        let lost = ann.refresh().await.ok().unwrap();
        app.clock.advance(DAY);
        let again = ann.refresh().await.ok().unwrap();
        assert_eq!(again.refresh_token, lost.refresh_token);
        assert!(again.is_in().await, "and now it was used");
        assert_eq!(ann.refresh().await.ok().unwrap().refresh_token, lost.refresh_token, "another tab was as late");
        app.clock.advance(LEEWAY + 1);
        assert_eq!(ann.refresh().await.err(), Some(401));
        assert!(!again.is_in().await && again.refresh().await.is_err(), "the whole sign-in is over");
        assert_eq!((count(&app, "TokenReuseDetected").await, count(&app, "TokenRevoked").await), (1, 1));

        let bob = app.user("bob").await;
        bob.refresh().await.ok().unwrap();
        app.clock.advance(DAY + 1);
        assert_eq!(bob.refresh().await.err(), Some(401), "but not for more than a day");
    }

    async fn an_old_token_that_was_used_ends_everything(app: TestApp) {
        let stolen = app.user("ann").await;
        let second = stolen.refresh().await.ok().unwrap();
        let third = second.refresh().await.ok().unwrap();
        assert_eq!(stolen.refresh().await.err(), Some(401), "two generations back: no leeway");
        for tokens in [&stolen, &second, &third] {
            assert!(!tokens.is_in().await, "an access token outlived its sign-in");
            assert_eq!(tokens.refresh().await.err(), Some(401));
        }
        assert_eq!(count(&app, "TokenReuseDetected").await, 1);
        let elsewhere = app.sign_in("ann@example.com").await;
        assert!(elsewhere.is_in().await, "another sign-in is another matter");
    }

    async fn a_sign_in_ends_when_idle_and_at_its_most_in_any_case(app: TestApp) {
        let idle = i64::from(LIFETIME.idle_seconds);
        let mut ann = app.user("ann").await;
        for _ in 0..4 {
            app.clock.advance(6 * DAY);
            ann = ann.refresh().await.ok().unwrap();
            assert!(ann.is_in().await);
        }
        app.clock.advance(6 * DAY);
        assert_eq!(ann.refresh().await.err(), Some(401), "a refresh does not begin the 30 days anew");

        let bob = app.user("bob").await;
        app.clock.advance(idle - 1);
        let bob = bob.refresh().await.ok().unwrap();
        app.clock.advance(idle);
        assert_eq!(bob.refresh().await.err(), Some(401));
        assert_eq!(count(&app, "TokenRefused").await, 2);
        assert_eq!(bob.refresh().await.err(), Some(401));
        assert_eq!(count(&app, "TokenRefused").await, 2, "noted once");
    }

    async fn a_log_out_ends_this_sign_in_alone(app: TestApp) {
        let (desk, phone) = (app.user("ann").await, app.sign_in("ann@example.com").await);
        let answer = post(&app, "logout", &[("x-refresh-token", &desk.refresh_token)]).await;
        assert_eq!(answer.status(), 204);
        assert!(answer.headers()["set-cookie"].to_str().unwrap().starts_with("refresh_token=; Path=/; Max-Age=0;"));
        assert!(!desk.is_in().await && desk.refresh().await.is_err());
        assert!(phone.is_in().await && phone.refresh().await.is_ok());
        for token in [desk.refresh_token.as_str(), "crt_nonsense", ""] {
            assert_eq!(post(&app, "logout", &[("x-refresh-token", token)]).await.status(), 401);
        }
        assert_eq!(post(&app, "logout", &[]).await.status(), 401);
    }

    async fn a_log_out_everywhere_takes_either_token(app: TestApp) {
        for by_access_token in [true, false] {
            let name = format!("ann{by_access_token}");
            let (desk, phone) = (app.user(&name).await, app.sign_in(&format!("{name}@example.com")).await);
            let bearer = format!("Bearer {}", desk.token);
            let header = if by_access_token { ("authorization", bearer.as_str()) } else { ("x-refresh-token", desk.refresh_token.as_str()) };
            assert_eq!(post(&app, "logout-all", &[header]).await.status(), 204);
            for tokens in [&desk, &phone] {
                assert!(!tokens.is_in().await && tokens.refresh().await.is_err());
            }
            assert!(app.sign_in(&format!("{name}@example.com")).await.is_in().await, "one can sign in anew");
        }
        assert_eq!(post(&app, "logout-all", &[]).await.status(), 401);
        assert_eq!(post(&app, "logout-all", &[("authorization", "Bearer nonsense")]).await.status(), 401);
    }

    async fn a_changed_password_ends_every_other_sign_in(app: TestApp) {
        let (desk, phone) = (app.user("ann").await, app.sign_in("ann@example.com").await);
        assert_eq!(change_password(&desk, "wrong", "N3w-passw0rd").await.status(), 403);
        assert_eq!(change_password(&desk, PASSWORD, "short").await.status(), 422);
        assert!(phone.is_in().await);
        assert_eq!(change_password(&desk, PASSWORD, "N3w-passw0rd").await.status(), 204);
        assert!(!phone.is_in().await && phone.refresh().await.is_err());
        assert!(desk.is_in().await, "the one it came from goes on");
        let desk = desk.refresh().await.ok().unwrap();
        assert!(desk.is_in().await);
        let body = |password| json!({"email": "ann@example.com", "password": password});
        let login = |password| app.request(Method::POST, "/api/v1/users/login").json(&body(password)).send();
        assert_eq!(login(PASSWORD).await.unwrap().status(), 401);
        assert_eq!(login("N3w-passw0rd").await.unwrap().status(), 200);
    }

    async fn cookies_are_for_our_own_pages(app: TestApp) {
        let ann = app.user("ann").await;
        let cookie = format!("a=b; refresh_token={}", ann.refresh_token);
        let own = format!("http://{}", app.address());
        for headers in [
            [("cookie", cookie.as_str()), ("origin", "https://evil.example")],
            [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")],
            [("cookie", cookie.as_str()), ("sec-fetch-site", "same-site")],
        ] {
            for path in ["refresh-token", "logout", "logout-all"] {
                let answer = post(&app, path, &headers).await;
                assert_eq!(answer.status(), 403, "{path} {headers:?}");
                assert!(!answer.headers().contains_key("set-cookie"));
            }
        }
        let answer = post(&app, "refresh-token", &[("cookie", cookie.as_str()), ("origin", own.as_str())]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(post(&app, "refresh-token", &[("cookie", cookie.as_str())]).await.status(), 200, "curl has no pages");
    }

    async fn a_401_takes_the_cookie_away_and_says_no_more(app: TestApp) {
        let unknown = format!("crt_{}", "A".repeat(70));
        let mut bodies = Vec::new();
        let ended = app.user("ann").await;
        post(&app, "logout", &[("x-refresh-token", &ended.refresh_token)]).await;
        for token in [unknown.as_str(), "crt_short", "nonsense", "", &ended.refresh_token, &ended.token] {
            let answer = app.refresh(token).await;
            assert_eq!(answer.status(), 401);
            assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
            let mut body: Value = answer.json().await.unwrap();
            body.as_object_mut().unwrap().remove("request_id");
            bodies.push(body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "nobody can tell why");
        assert_eq!(bodies[0]["code"], "invalid_credentials");
    }

    async fn devices_are_listed_and_one_can_be_ended(app: TestApp) {
        let (desk, phone) = (app.user("ann").await, app.sign_in("ann@example.com").await);
        let bob = app.user("bob").await;
        let list = async |who: &Persona<'_>| -> Vec<Value> {
            app.settle().await;
            who.request(Method::GET, "/api/v1/users/me/sign-ins").send().await.unwrap().json().await.unwrap()
        };
        let listed = list(&desk).await;
        assert_eq!(listed.len(), 2);
        assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(false), &json!(true)), "newest first");
        assert_eq!(listed[0]["ip"], "127.0.0.1");
        let path = format!("/api/v1/users/me/sign-ins/{}", listed[0]["id"].as_str().unwrap());
        assert_eq!(bob.request(Method::DELETE, &path).send().await.unwrap().status(), 404, "not bob's");
        assert!(phone.is_in().await);
        assert_eq!(desk.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        assert!(!phone.is_in().await && phone.refresh().await.is_err() && desk.is_in().await);
        assert_eq!(desk.request(Method::DELETE, &path).send().await.unwrap().status(), 404);
        assert_eq!(list(&desk).await.len(), 1);
    }

    async fn another_address_or_program_is_noticed(app: TestApp) {
        let ann = app.user("ann").await;
        for (agent, noticed) in [("phone/1", 1), ("phone/1", 1), ("tablet/2", 2)] {
            let headers = [("x-refresh-token", ann.refresh_token.as_str()), ("user-agent", agent)];
            assert_eq!(post(&app, "refresh-token", &headers).await.status(), 200);
            assert_eq!(count(&app, "TokenAnomalyNoticed").await, noticed);
        }
    }

    async fn who_is_disabled_is_out_at_once_and_looks_like_nobody(app: TestApp) {
        let ann = app.user("ann").await;
        app.operator().disable("ann@example.com").await.unwrap();
        let out = async { while ann.is_in().await { tokio::task::yield_now().await; } };
        tokio::time::timeout(std::time::Duration::from_secs(1), out).await.unwrap();
        assert_eq!(ann.refresh().await.err(), Some(401));
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let answer = app.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "invalid_credentials");
        app.operator().enable("ann@example.com").await.unwrap();
        let back = app.sign_in("ann@example.com").await;
        assert!(back.is_in().await && !ann.is_in().await, "the old sign-in stays over");
    }

    async fn a_profile_changes_and_its_names_go_with_it(app: TestApp) {
        let ann = app.user("ann").await;
        let change = async |who: &Persona<'_>, body: Value| {
            let answer = who.request(Method::PATCH, "/api/v1/users/me").json(&body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let (status, body) = change(&ann, json!({"name": "Ann B.", "username": "Annie", "current_password": PASSWORD})).await;
        assert_eq!((status, &body["name"], &body["username"]), (200, &json!("Ann B."), &json!("Annie")));
        let bob = app.user("bob").await;
        assert_eq!(change(&bob, json!({"username": "ANNIE", "current_password": PASSWORD})).await.0, 409);
        let respelt = json!({"username": "annie", "current_password": PASSWORD});
        assert_eq!(change(&ann, respelt).await.0, 200, "another spelling of one's own");
        assert_eq!(change(&ann, json!({"name": "Ann"})).await.0, 200, "nobody signs in with that");
        assert_eq!(change(&ann, json!({"username": "new"})).await.0, 403, "without the password");
        assert_eq!(change(&ann, json!({"email": "new@example.com"})).await.0, 403, "without the password");
        let (status, _) = change(&ann, json!({"email": "new@example.com", "current_password": PASSWORD})).await;
        assert_eq!(status, 200);
        assert!(app.sign_in("new@example.com").await.is_in().await);
        assert!(app.sign_in("annie").await.is_in().await, "a user name does where an email does");
        assert_eq!(change(&bob, json!({"email": "ann@example.com", "current_password": PASSWORD})).await.0, 200, "it is free");
        assert_eq!(change(&ann, json!({"username": "a@b", "name": ""})).await.0, 422);
    }
}
