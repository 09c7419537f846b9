//! `GET /api/v1/usage/limits`, as it is asked by whoever is limited; and what the audit log says of it.

use domain::Event;
use domain::token::notice::LimitKind;
use domain::values::Role;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

use crate::cast::{MINUTE, given, moment, reached, requested, write};

const LIMITS: &str = "/api/v1/usage/limits";
/// When the test's clock begins, in seconds: 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600;

async fn ask(who: &Persona<'_>, query: &str) -> Response {
    who.request(Method::GET, &format!("{LIMITS}{query}")).send().await.unwrap()
}

async fn limits(who: &Persona<'_>, query: &str) -> Value {
    let answer = ask(who, query).await;
    assert_eq!(answer.status(), 200, "{query}");
    answer.json().await.unwrap()
}

async fn get(who: &Persona<'_>, path: &str) -> Value {
    who.request(Method::GET, path).send().await.unwrap().json().await.unwrap()
}

async fn id_of(who: &Persona<'_>) -> String {
    get(who, "/api/v1/users/me").await["id"].as_str().unwrap().to_owned()
}

async fn number_of(who: &Persona<'_>) -> u128 {
    id_of(who).await.parse::<uuid::Uuid>().unwrap().as_u128()
}

fn item(minute: &str, admitted: u32, refused: u32) -> Value {
    json!({"minute": minute, "admitted": admitted, "refused": refused})
}

async fn tell(app: &TestApp, events: impl IntoIterator<Item = (i64, Event)>) {
    for (at, event) in events {
        write(&app.stage.log, moment(NOW + at), &event).await;
    }
    app.settle().await;
}

on_both_engines! {
    async fn one_sees_ones_minutes_oldest_first(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let of_ann = number_of(&ann).await;
        tell(&app, [
            (0, given(of_ann)),
            (59, requested(of_ann)),
            (-1, requested(of_ann)),
            (-1, reached(LimitKind::User, Some(of_ann), 3)),
            (-2, reached(LimitKind::Budget, Some(of_ann), 4)),
            (-3, reached(LimitKind::Address, Some(of_ann), 5)),
            (-60 * MINUTE, reached(LimitKind::User, Some(of_ann), 10)),
            (-60 * MINUTE - 1, given(of_ann)),
            (MINUTE, given(of_ann)),
            (-7 * 24 * 60 * MINUTE, given(of_ann)),
        ]).await;
        let whole = json!({
            "since": "2025-12-31T23:00:00Z",
            "until": "2026-01-01T00:00:00Z",
            "items": [
                item("2025-12-31T23:00:00Z", 0, 10),
                item("2025-12-31T23:59:00Z", 1, 7),
                item("2026-01-01T00:00:00Z", 2, 0),
            ],
            "total": {"admitted": 3, "refused": 17},
        });
        assert_eq!(limits(&ann, "").await, whole);
        let next = limits(&ann, "?since=2026-01-01T00:00:30Z&until=2026-01-01T00:02:00Z").await;
        assert_eq!(next["items"], json!([item("2026-01-01T00:00:00Z", 2, 0), item("2026-01-01T00:01:00Z", 1, 0)]));
        let before = limits(&ann, "?since=61m&until=2026-01-01T00:00:00Z").await;
        assert_eq!(before["total"], json!({"admitted": 2, "refused": 17}), "the end is not in");
        let week = limits(&ann, "?since=7d").await;
        assert_eq!((&week["items"][0], &week["total"]["admitted"]), (&item("2025-12-25T00:00:00Z", 1, 0), &json!(5)));
        let nothing = json!({
            "since": "2025-12-31T23:00:00Z", "until": "2026-01-01T00:00:00Z",
            "items": [], "total": {"admitted": 0, "refused": 0},
        });
        assert_eq!(limits(&bob, "").await, nothing, "bob has asked for nothing");
    }

    async fn what_one_has_just_asked_for_is_in_it(app: TestApp) {
        let ann = app.user("ann").await;
        for times in 1..=3 {
            ann.say("hello", None).await;
            assert_eq!(limits(&ann, "").await["items"], json!([item("2026-01-01T00:00:00Z", times, 0)]));
        }
        let head = app.stage.log.head().await.unwrap().get();
        let ahead = ann.request(Method::GET, LIMITS).header("x-min-position", head + 2).send().await.unwrap();
        assert_eq!((ahead.status().as_u16(), &ahead.headers()["x-projection-lag"]), (200, &"2".parse().unwrap()));
    }

    async fn only_an_administrator_sees_anybody_elses(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (eve, boss) = (app.user_with("eve", Role::Auditor).await, app.user_with("boss", Role::Admin).await);
        ann.say("hello", None).await;
        let (own, of_ann) = (limits(&ann, "").await, id_of(&ann).await);
        assert_eq!(own["total"]["admitted"], 1);
        for user in [&of_ann, "ann@example.com", "ANN@Example.com"] {
            for (name, other) in [("bob", &bob), ("eve", &eve)] {
                assert_eq!(ask(other, &format!("?user={user}")).await.status(), 403, "{name} asks for {user}");
            }
            for who in [&ann, &boss] {
                assert_eq!(limits(who, &format!("?user={user}")).await, own, "{user}");
            }
        }
        let none = "00000000-0000-0000-0000-000000000000";
        for user in ["nobody@example.com", "no+such+name", "018bcfe5-6800-7000-8000-00000000002a", none] {
            assert_eq!(ask(&bob, &format!("?user={user}")).await.status(), 403, "bob learns nothing of {user}");
            assert_eq!(ask(&boss, &format!("?user={user}")).await.status(), 404, "{user}");
        }
        let noted = get(&boss, "/api/v1/audit/tokens?kind=audit_read&user=ann@example.com").await;
        assert_eq!(noted["items"].as_array().unwrap().len(), 3, "each of the boss's looks at ann's, and none of ann's own");
    }

    async fn the_services_are_for_administrators_alone(app: TestApp) {
        let (ann, boss) = (app.user("ann").await, app.user_with("boss", Role::Admin).await);
        let eve = app.user_with("eve", Role::Auditor).await;
        ann.say("hello", None).await;
        boss.say("hello", None).await;
        tell(&app, [
            (0, reached(LimitKind::Service, Some(number_of(&ann).await), 40)),
            (0, reached(LimitKind::User, Some(number_of(&ann).await), 2)),
        ]).await;
        for (name, who) in [("ann", &ann), ("eve", &eve)] {
            assert_eq!(ask(who, "?scope=service").await.status(), 403, "{name}");
        }
        let minute = "2026-01-01T00:00:00Z";
        assert_eq!(limits(&boss, "?scope=service").await["items"], json!([item(minute, 2, 40)]));
        assert_eq!(limits(&ann, "").await["items"], json!([item(minute, 1, 2)]));
        for query in ["?scope=service&user=ann@example.com", "?scope=service&user=boss@example.com", "?scope=all", "?scope="] {
            for (name, who) in [("ann", &ann), ("boss", &boss)] {
                let answer = ask(who, query).await;
                assert_eq!(answer.status(), 422, "{name} {query}");
                assert_eq!(answer.json::<Value>().await.unwrap()["errors"][0]["field"], "scope", "{name} {query}");
            }
        }
    }

    async fn a_key_for_chats_alone_is_no_administrators(app: TestApp) {
        let (_ann, boss) = (app.user("ann").await, app.user_with("boss", Role::Admin).await);
        for (scopes, status) in [(json!(["chat:read"]), 403), (json!(["chat:read", "admin"]), 200)] {
            let body = json!({"name": "job", "scopes": scopes});
            let key = boss.request(Method::POST, "/api/v1/keys").json(&body).send().await.unwrap();
            let key: Value = key.json().await.unwrap();
            let with = async |query: &str| {
                let request = app.request(Method::GET, &format!("{LIMITS}{query}"));
                request.header("x-api-key", key["key"].as_str().unwrap()).send().await.unwrap().status().as_u16()
            };
            assert_eq!(with("?user=ann@example.com").await, status, "{scopes}");
            assert_eq!(with("?scope=service").await, status, "{scopes}");
            assert_eq!(with("?user=boss@example.com").await, 200, "{scopes}");
        }
    }

    async fn what_is_no_moment_is_named_and_not_repeated(app: TestApp) {
        let ann = app.user("ann").await;
        for (query, fields) in [
            ("?since=hunter2", vec!["since"]),
            ("?until=2026-02-30T00:00:00Z", vec!["until"]),
            ("?since=hunter2&until=2026-01-01&scope=hunter2", vec!["since", "until", "scope"]),
            ("?since=2026-01-01T00:00:01Z", vec!["since"]),
            ("?since=604801s", vec!["since"]),
            ("?since=1h&until=2h", vec!["since"]),
        ] {
            let answer = ask(&ann, query).await;
            assert_eq!(answer.status(), 422, "{query}");
            let problem: Value = answer.json().await.unwrap();
            let named: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
            assert_eq!(named, fields, "{query}");
            assert!(!problem.to_string().contains("hunter2"));
        }
        assert_eq!(limits(&ann, "?since=604800s").await["since"], "2025-12-25T00:00:00Z", "seven days");
    }

    async fn a_limit_that_was_reached_is_in_the_audit_log(app: TestApp) {
        let (ann, eve) = (app.user("ann").await, app.user_with("eve", Role::Auditor).await);
        tell(&app, [
            (1, reached(LimitKind::User, Some(number_of(&ann).await), 3)),
            (2, reached(LimitKind::SignIn, None, 1)),
        ]).await;
        let seen = async |who: &Persona<'_>| {
            let rows = get(who, "/api/v1/audit/tokens?kind=limit_reached&outcome=refused").await;
            let row = |row: &Value| (row["reason"].clone(), row["username"].clone(), row["outcome"].clone());
            rows["items"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
        };
        let (refused, of_ann) = (json!("refused"), json!("ann@example.com"));
        let (user, sign_in) = ((json!("user"), of_ann, refused.clone()), (json!("sign_in"), Value::Null, refused));
        assert_eq!(seen(&eve).await, [sign_in, user.clone()]);
        assert_eq!(seen(&ann).await, [user], "her own alone");
    }
}
