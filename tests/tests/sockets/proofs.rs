//! Who may open a socket, and by what.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use store::Clock;
use tests::app::Options;
use tests::stage::{Play, Stage};
use tests::{Socket, TestApp, on_both_engines};

use crate::{key, ticket};

const BOOTSTRAP: &str = "a key that was set when all was set up";

/// A service with a bootstrap key.
struct Keyed(TestApp);

impl Play for Keyed {
    async fn on(stage: Stage) -> Self {
        let bootstrap_key = Some(api::BootstrapKey::new(BOOTSTRAP));
        Self(TestApp::start(stage, Options { bootstrap_key, ..Options::default() }).await)
    }
}

async fn opened(app: &TestApp, query: &str, headers: &[(&str, &str)]) -> u16 {
    match Socket::open(app.address(), query, headers).await {
        Ok(_) => 101,
        Err(status) => status,
    }
}

/// What a key has to say for itself gets it a ticket.
async fn ticket_by_key(app: &TestApp, key: &str) -> (u16, String) {
    let answer = app.request(Method::POST, "/api/v1/chat/ws-ticket").header("x-api-key", key).send().await.unwrap();
    let (status, answer) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    (status, answer["ticket"].as_str().unwrap_or_default().to_owned())
}

on_both_engines! {
    async fn a_socket_is_opened_by_whoever_shows_who_they_are(on: Keyed) {
        let app = &on.0;
        let ann = app.user("ann").await;
        let bearer = format!("Bearer {}", ann.token);
        let key = key(&ann, &["chat:write"]).await["key"].as_str().unwrap().to_owned();
        let foreign = ("origin", "https://elsewhere.example");
        let ticket_of = async |query: &str| format!("?ticket={}{query}", ticket(&ann).await);
        let good: [(String, Vec<(&str, &str)>); 8] = [
            (String::new(), vec![("authorization", &bearer)]),
            (String::new(), vec![("x-api-key", &key)]),
            (String::new(), vec![("x-api-key", BOOTSTRAP)]),
            (format!("?token={}", ann.token), vec![]),
            (ticket_of("").await, vec![]),
            (ticket_of("&other=1").await, vec![foreign]),
            (format!("?token={}", ann.token), vec![foreign]),
            ("?token=nothing".to_owned(), vec![("authorization", &bearer), foreign]),
        ];
        for (query, headers) in &good {
            assert_eq!(opened(app, query, headers).await, 101, "{query} {headers:?}");
        }
        let used = &good[4].0;
        let refresh = format!("refresh_token={}", ann.refresh_token);
        let bad: [(String, Vec<(&str, &str)>); 12] = [
            (String::new(), vec![]),
            (String::new(), vec![foreign]),
            (String::new(), vec![("cookie", &refresh)]),
            (String::new(), vec![("cookie", &refresh), ("origin", "http://127.0.0.1")]),
            (format!("?token={}x", ann.token), vec![]),
            (format!("?token={}", ann.refresh_token), vec![]),
            (format!("?token={key}"), vec![]),
            (format!("?api_key={key}"), vec![]),
            (format!("?ticket={}", ann.token), vec![]),
            (used.clone(), vec![]),
            (format!("?ticket={}", "x".repeat(43)), vec![]),
            (format!("{}&token={}", ticket_of("").await, ann.token), vec![]),
        ];
        for (query, headers) in &bad {
            assert_eq!(opened(app, query, headers).await, 401, "{query} {headers:?}");
        }
        // It is said before anything is opened, as everywhere.
        let answer = app.request(Method::GET, "/api/v1/chat/ws").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "not_authenticated");
        let answer = ann.request(Method::GET, "/api/v1/chat/ws").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["upgrade"]), (426, &"websocket".parse().unwrap()));
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "no_socket");
        // An address proves nothing on any other path.
        let elsewhere = format!("/api/v1/chat/history?token={}", ann.token);
        assert_eq!(app.request(Method::GET, &elsewhere).send().await.unwrap().status(), 401);
    }

    async fn a_ticket_is_good_once_and_soon_on_any_node(app: TestApp) {
        let ann = app.user("ann").await;
        // Of many at once, one.
        let query = format!("?ticket={}", ticket(&ann).await);
        let opened_at_once = join_all((0..20).map(|_| opened(&app, &query, &[]))).await;
        assert_eq!(opened_at_once.iter().filter(|status| **status == 101).count(), 1, "{opened_at_once:?}");
        assert!(opened_at_once.iter().all(|status| [101, 401].contains(status)), "{opened_at_once:?}");
        // Not after its time.
        let (early, late) = (ticket(&ann).await, ticket(&ann).await);
        app.clock.advance(29);
        assert_eq!(opened(&app, &format!("?ticket={early}"), &[]).await, 101);
        app.clock.advance(1);
        assert_eq!(opened(&app, &format!("?ticket={late}"), &[]).await, 401);
        // And nothing of it stays.
        let forgotten = ticket(&ann).await;
        app.clock.advance(30);
        ticket(&ann).await;
        let kept: Vec<(Vec<u8>, String)> = store::on!(app.stage.log.db(), pool => {
            sqlx::query_as("select digest, proof from tickets").fetch_all(pool).await.unwrap()
        });
        assert_eq!(kept.len(), 1, "what nobody used is swept");
        assert!(!kept[0].1.contains(&ann.token) && !kept[0].1.contains(&forgotten));
    }

    async fn a_ticket_dies_with_what_it_was_given_for(on: Keyed) {
        let app = &on.0;
        let ann = app.user("ann").await;
        // The sign-in, though another of the same user goes on.
        let (query, again) = (format!("?ticket={}", ticket(&ann).await), app.sign_in("ann@example.com").await);
        let out = app.request(Method::POST, "/api/v1/users/logout").header("x-refresh-token", &ann.refresh_token);
        assert_eq!(out.send().await.unwrap().status(), 204);
        assert_eq!(opened(app, &query, &[]).await, 401);
        // The key, and what it may do.
        let created = key(&again, &["chat:write"]).await;
        let text = created["key"].as_str().unwrap();
        let (status, good) = ticket_by_key(app, text).await;
        assert_eq!(status, 200);
        let (_, dead) = ticket_by_key(app, text).await;
        let mut socket = Socket::open(app.address(), &format!("?ticket={good}"), &[]).await.unwrap();
        socket.say(json!({"message": "hello"})).await;
        let id = socket.reply().await[0]["id"].clone();
        socket.say(json!({"type": "resume", "id": id})).await;
        assert_eq!(socket.heard().await["problem"]["code"], "forbidden", "it may not read");
        app.settle().await;
        assert_eq!(again.history("").await["total"], 2, "it is ann who has said it");
        let path = format!("/api/v1/keys/{}", created["id"].as_str().unwrap());
        assert_eq!(again.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        assert_eq!(socket.closed().await, 4401);
        assert_eq!(opened(app, &format!("?ticket={dead}"), &[]).await, 401);
        // Who may not write gets none; the service's own key does.
        let reads = key(&again, &["chat:read"]).await["key"].as_str().unwrap().to_owned();
        assert_eq!(ticket_by_key(app, &reads).await.0, 403);
        assert_eq!(opened(app, "", &[("x-api-key", &reads)]).await, 403);
        let (_, own) = ticket_by_key(app, BOOTSTRAP).await;
        assert_eq!(opened(app, &format!("?ticket={own}"), &[]).await, 101);
    }

    // An access token that has a moment to live gets nobody more than that.
    async fn a_ticket_lives_no_longer_than_what_was_shown_for_it(app: TestApp) {
        let ann = app.user("ann").await;
        assert!(matches!(app.clock, Clock::Manual(_)), "time is the test's");
        app.clock.advance(905);
        let query = format!("?ticket={}", ticket(&ann).await);
        app.clock.advance(5);
        assert_eq!(opened(&app, &query, &[]).await, 401);
    }
}
