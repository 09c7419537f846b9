//! The audit log as people read it: over HTTP, as an export, and at the machine itself.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod command;
mod exports;

use domain::ids::UserId;
use domain::token::notice::{NoticeEvent, SignInFailure};
use domain::values::Role;
use domain::{Event, Metadata};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tests::scribe::Scribe;
use tests::{Persona, TestApp, on_both_engines};

const AUDIT: &str = "/api/v1/audit/tokens";

fn ask(who: &Persona<'_>, query: &str) -> RequestBuilder {
    who.request(Method::GET, &format!("{AUDIT}{query}"))
}

/// The page that is answered.
async fn page(who: &Persona<'_>, query: &str) -> Value {
    let answer = ask(who, query).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer.json().await.unwrap()
}

async fn items(who: &Persona<'_>, query: &str) -> Vec<Value> {
    page(who, query).await["items"].as_array().unwrap().clone()
}

async fn kinds(who: &Persona<'_>, query: &str) -> Vec<String> {
    items(who, query).await.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

/// A failure to sign in, of a user agent that may be anything.
fn failed(user: UserId) -> Event {
    let (identifier, reason) = ("digest".to_owned(), SignInFailure::WrongPassword);
    Event::Notice(store::fresh_id(), NoticeEvent::SignInFailed { user: Some(user), identifier, reason })
}

fn by(user_agent: &str) -> Metadata {
    let (ip, user_agent) = (Some("192.0.2.1".to_owned()), Some(user_agent.to_owned()));
    Metadata { request_id: "by-hand".to_owned(), ip, user_agent, ..Metadata::default() }
}

async fn id_of(who: &Persona<'_>) -> UserId {
    items(who, "?kind=registered").await[0]["user_id"].as_str().unwrap().parse().unwrap()
}

/// Somebody who types a wrong password.
async fn mistype(app: &TestApp, email: &str) -> Response {
    let body = json!({"email": email, "password": "not-the-password-1"});
    app.request(Method::POST, "/api/v1/users/login").header("user-agent", "mistyper").json(&body).send().await.unwrap()
}

on_both_engines! {
    async fn everybody_reads_their_own(app: TestApp) {
        let (ann, _bob) = (app.user("ann").await, app.user("bob").await);
        let page = page(&ann, "").await;
        let rows = page["items"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| &row["kind"]).collect::<Vec<_>>(), ["sign_in", "registered"]);
        assert_eq!(page["next"], Value::Null);
        let row = rows[0].as_object().unwrap();
        let names = [
            "id", "time", "kind", "user_id", "username", "token_id", "outcome", "reason", "ip", "user_agent", "request_id",
            "actor_id", "actor_session", "actor_key", "node",
        ];
        assert_eq!(row.len(), names.len());
        assert!(names.iter().all(|name| row.contains_key(*name)), "{row:?}");
        assert_eq!((&row["time"], &row["username"]), (&json!("2026-01-01T00:00:00Z"), &json!("ann@example.com")));
        assert_eq!((&row["outcome"], &row["ip"], &row["reason"]), (&json!("ok"), &json!("127.0.0.1"), &Value::Null));
        assert!(row["id"].is_string() && row["token_id"].is_string() && row["request_id"].is_string());
    }

    async fn who_is_no_auditor_learns_nothing_of_others(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (own, others) = (id_of(&ann).await, id_of(&bob).await);
        for user in ["bob@example.com", &others.to_string(), "nobody@example.com", "no such name", "018bcfe5-6800-7000-8000-00000000002a"] {
            let answer = ask(&ann, "").query(&[("user", user)]).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{user}");
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], "forbidden");
        }
        let all = items(&ann, "").await;
        for user in ["ann@example.com", "ANN@Example.com", &own.to_string()] {
            assert_eq!(items(&ann, &format!("?user={user}")).await, all, "{user}");
        }
        let nobody = app.request(Method::GET, AUDIT).send().await.unwrap();
        assert_eq!(nobody.status(), 401);
        assert_eq!(kinds(&ann, "?kind=audit_read").await, [""; 0], "to read one's own is nothing to note");
    }

    async fn one_sees_who_changed_ones_account_but_not_from_where(app: TestApp) {
        let (ann, boss) = (app.user("ann").await, app.user_with("boss", Role::Admin).await);
        let grant = boss.request(Method::PUT, "/api/v1/users/ann@example.com/roles/auditor");
        assert_eq!(grant.send().await.unwrap().status(), 204);
        let revoke = boss.request(Method::DELETE, "/api/v1/users/ann@example.com/roles/auditor");
        assert_eq!(revoke.send().await.unwrap().status(), 204);
        app.settle().await;
        let boss_id = items(&boss, "?user=boss@example.com&kind=registered").await[0]["user_id"].clone();
        for (reader, ip) in [(&ann, Value::Null), (&boss, json!("127.0.0.1"))] {
            let row = items(reader, "?user=ann@example.com&kind=role_granted").await.remove(0);
            assert_eq!((&row["actor_id"], &row["ip"]), (&boss_id, &ip));
        }
        assert_eq!(items(&ann, "?kind=sign_in").await[0]["ip"], "127.0.0.1");
        let guess = "?user=ann@example.com&address=127.0.0.1&kind=role_granted,sign_in";
        assert_eq!(kinds(&ann, guess).await, ["sign_in"], "nor can it be guessed");
        assert_eq!(kinds(&boss, guess).await, ["role_granted", "sign_in"]);
        let export = ask(&ann, &format!("{guess}&format=csv")).send().await.unwrap().text().await.unwrap();
        assert!(export.contains("sign_in") && !export.contains("role_granted"), "{export}");
    }

    async fn an_auditor_reads_everybodys_and_is_noted(app: TestApp) {
        let ann = app.user("ann").await;
        let ann_id = id_of(&ann).await;
        for role in [Role::Auditor, Role::Admin] {
            let eve = app.user_with(&format!("eve-{role}"), role).await;
            let users: Vec<_> = items(&eve, "").await.iter().map(|it| it["username"].clone()).collect();
            assert!(users.contains(&json!("ann@example.com")) && users.contains(&json!(format!("eve-{role}@example.com"))));
            let of_ann = items(&eve, "?user=ann@example.com&kind=sign_in,registered").await;
            assert!(of_ann.len() == 2 && of_ann.iter().all(|it| it["user_id"] == json!(ann_id)));
            let noted = items(&eve, "?kind=audit_read&limit=2").await;
            assert!(noted.iter().all(|it| it["actor_id"].is_string() && it["reason"] == "page"));
            assert_eq!(noted.iter().map(|it| it["user_id"].clone()).collect::<Vec<_>>(), [json!(ann_id), Value::Null]);
            let unknown = ask(&eve, "?user=nobody@example.com").send().await.unwrap();
            assert_eq!(unknown.status(), 404);
        }
        let (eyes, who) = (items(&ann, "?kind=audit_read").await, "eve may look, and ann may know");
        assert_eq!(eyes.len(), 2, "{who}");
    }

    async fn rows_are_found_by_whatever_is_asked(app: TestApp) {
        let ann = app.user("ann").await;
        app.clock.advance(600);
        assert_eq!(mistype(&app, "ann@example.com").await.status(), 401);
        app.settle().await;
        assert_eq!(kinds(&ann, "").await, ["sign_in_failed", "sign_in", "registered"]);
        for (query, expected) in [
            ("?kind=sign_in", vec!["sign_in"]),
            ("?kind=sign_in,registered", vec!["sign_in", "registered"]),
            ("?outcome=refused", vec!["sign_in_failed"]),
            ("?outcome=suspicious", vec![]),
            ("?address=127.0.0.1&kind=registered", vec!["registered"]),
            ("?address=::ffff:127.0.0.1&kind=registered", vec!["registered"]),
            ("?address=192.0.2.77", vec![]),
            ("?since=5m", vec!["sign_in_failed"]),
            ("?until=5m", vec!["sign_in", "registered"]),
            ("?since=2026-01-01T00:10:00Z", vec!["sign_in_failed"]),
            ("?until=2026-01-01T00:10:00Z", vec!["sign_in", "registered"]),
            ("?since=2h&until=5m&kind=registered&outcome=ok", vec!["registered"]),
        ] {
            assert_eq!(kinds(&ann, query).await, expected, "{query}");
        }
        let row = &items(&ann, "?outcome=refused").await[0];
        assert_eq!((&row["reason"], &row["user_agent"], &row["actor_id"]), (&json!("wrong_password"), &json!("mistyper"), &Value::Null));
    }

    async fn pages_give_every_row_once(app: TestApp) {
        let ann = app.user("ann").await;
        let (user, mut scribe) = (id_of(&ann).await, Scribe::new(&app.stage.log));
        for _ in 0..11 {
            scribe.record(&failed(user), &by("curl")).await;
        }
        app.settle().await;
        let expected = items(&ann, "").await;
        assert_eq!(expected.len(), 13);
        let (mut seen, mut query) = (Vec::new(), "?limit=5".to_owned());
        loop {
            let page = page(&ann, &query).await;
            seen.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit=5&before={next}");
        }
        assert_eq!(seen, expected);
    }

    async fn a_wrong_parameter_is_named_and_not_repeated(app: TestApp) {
        let ann = app.user("ann").await;
        for field in ["kind", "outcome", "address", "since", "until", "limit", "before", "format"] {
            for value in ["hunter2", ""] {
                let answer = ask(&ann, "").query(&[(field, value)]).send().await.unwrap();
                assert_eq!(answer.status(), 422, "{field}={value}");
                let text = answer.text().await.unwrap();
                assert!(!text.contains("hunter2"), "{text}");
                let problem: Value = serde_json::from_str(&text).unwrap();
                assert_eq!((&problem["errors"][0]["field"], &problem["errors"][1]), (&json!(field), &Value::Null));
            }
        }
        for query in ["?limit=0", "?limit=1001", "?limit=-1", "?before=-1", "?kind=sign_in,hunter2"] {
            assert_eq!(ask(&ann, query).send().await.unwrap().status(), 422, "{query}");
        }
        let answer = ask(&ann, "?limit=x&kind=y&since=z").send().await.unwrap().json::<Value>().await.unwrap();
        assert_eq!(answer["errors"].as_array().unwrap().len(), 3, "all that is wrong, at once");
    }
}
