//! `GET /api/v1/usage`, as it is asked by whoever pays.

use domain::chat::reply::Interruption;
use domain::values::Role;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

use crate::cast::{DAY, completed, cost, given, interrupted, moment, stopped, write};

const USAGE: &str = "/api/v1/usage";
/// When the test's clock begins: 2026-01-01.
const TODAY: i64 = 20_454;

async fn ask(who: &Persona<'_>, query: &str) -> Response {
    who.request(Method::GET, &format!("{USAGE}{query}")).send().await.unwrap()
}

async fn usage(who: &Persona<'_>, query: &str) -> Value {
    let answer = ask(who, query).await;
    assert_eq!(answer.status(), 200, "{query}");
    answer.json().await.unwrap()
}

async fn id_of(who: &Persona<'_>) -> String {
    let me: Value = who.request(Method::GET, "/api/v1/users/me").send().await.unwrap().json().await.unwrap();
    me["id"].as_str().unwrap().to_owned()
}

async fn number_of(who: &Persona<'_>) -> u128 {
    id_of(who).await.parse::<uuid::Uuid>().unwrap().as_u128()
}

on_both_engines! {
    async fn one_sees_what_ones_replies_cost_by_day_and_model(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (of_ann, log) = (number_of(&ann).await, &app.stage.log);
        let today = TODAY * DAY;
        for (at, event) in [
            (today, completed(of_ann, "open_ai/gpt", cost(1_000, 200, Some(1_250)))),
            (today + DAY - 1, stopped(of_ann, "open_ai/gpt", cost(10, 5, Some(250)))),
            (today, given(of_ann, "rules")),
            (today - 29 * DAY, interrupted(of_ann, "groq/llama", cost(3, 1, None), Interruption::Truncated)),
            (today - 29 * DAY - 1, given(of_ann, "rules")),
            (today + DAY, given(of_ann, "rules")),
        ] {
            write(log, moment(at), &event).await;
        }
        app.settle().await;
        let sums = |counts: [u64; 4], tokens: [u64; 3], cost: Value| json!({
            "replies": counts[0], "completed": counts[1], "stopped": counts[2], "interrupted": counts[3],
            "prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": tokens[2],
            "estimated_replies": 0, "cost_usd": cost,
        });
        let item = |day: &str, model: &str, mut sums: Value| {
            (sums["day"], sums["model"]) = (json!(day), json!(model));
            sums
        };
        let gpt = sums([2, 1, 1, 0], [1_010, 205, 1_215], json!(0.0015));
        let llama = sums([1, 0, 0, 1], [3, 1, 4], Value::Null);
        let rules = sums([1, 1, 0, 0], [0, 0, 0], Value::Null);
        assert_eq!(usage(&ann, "").await, json!({
            "since": "2025-12-03",
            "until": "2026-01-01",
            "items": [
                item("2026-01-01", "open_ai/gpt", gpt),
                item("2026-01-01", "rules", rules.clone()),
                item("2025-12-03", "groq/llama", llama),
            ],
            "total": sums([4, 2, 1, 1], [1_013, 206, 1_219], json!(0.0015)),
            "budgets": [],
        }));
        let next = usage(&ann, "?since=2026-01-02&until=2026-01-31").await;
        assert_eq!(next["items"], json!([item("2026-01-02", "rules", rules)]));
        assert_eq!(usage(&ann, "?since=2025-12-02&until=2026-01-02").await["total"]["replies"], 6);
        let nothing = json!({
            "since": "2025-12-03", "until": "2026-01-01", "items": [], "total": sums([0; 4], [0; 3], Value::Null),
            "budgets": [],
        });
        assert_eq!(usage(&bob, "").await, nothing, "bob has said nothing");
    }

    async fn what_one_has_just_said_is_in_it(app: TestApp) {
        let ann = app.user("ann").await;
        for times in 1..=3 {
            ann.say("hello", None).await;
            let items = usage(&ann, "").await["items"].clone();
            assert_eq!((&items[0]["model"], &items[0]["replies"]), (&json!("rules"), &json!(times)));
        }
        let head = app.stage.log.head().await.unwrap().get();
        let ahead = ann.request(Method::GET, USAGE).header("x-min-position", head + 2).send().await.unwrap();
        assert_eq!((ahead.status().as_u16(), &ahead.headers()["x-projection-lag"]), (200, &"2".parse().unwrap()));
    }

    async fn only_an_administrator_sees_anybody_elses(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (eve, boss) = (app.user_with("eve", Role::Auditor).await, app.user_with("boss", Role::Admin).await);
        ann.say("hello", None).await;
        let (own, of_ann) = (usage(&ann, "").await, id_of(&ann).await);
        assert_eq!(own["total"]["replies"], 1);
        for user in [&of_ann, "ann@example.com", "ANN@Example.com"] {
            for (name, other) in [("bob", &bob), ("eve", &eve)] {
                assert_eq!(ask(other, &format!("?user={user}")).await.status(), 403, "{name} asks for {user}");
            }
            for who in [&ann, &boss] {
                assert_eq!(usage(who, &format!("?user={user}")).await, own, "{user}");
            }
        }
        for user in ["nobody@example.com", "no+such+name", "018bcfe5-6800-7000-8000-00000000002a"] {
            assert_eq!(ask(&bob, &format!("?user={user}")).await.status(), 403, "bob learns nothing of {user}");
            assert_eq!(ask(&boss, &format!("?user={user}")).await.status(), 404, "{user}");
        }
        let noted = boss.request(Method::GET, "/api/v1/audit/tokens?kind=audit_read&user=ann@example.com");
        let noted: Value = noted.send().await.unwrap().json().await.unwrap();
        assert_eq!(noted["items"].as_array().unwrap().len(), 3, "each of the boss's looks at ann's, and none of ann's own");
    }

    async fn a_key_for_chats_alone_is_no_administrators(app: TestApp) {
        let (_ann, boss) = (app.user("ann").await, app.user_with("boss", Role::Admin).await);
        for (scopes, status) in [(json!(["chat:read"]), 403), (json!(["chat:read", "admin"]), 200)] {
            let body = json!({"name": "job", "scopes": scopes});
            let key = boss.request(Method::POST, "/api/v1/keys").json(&body).send().await.unwrap();
            let key: Value = key.json().await.unwrap();
            let with = |query: &str| {
                let request = app.request(Method::GET, &format!("{USAGE}{query}"));
                request.header("x-api-key", key["key"].as_str().unwrap()).send()
            };
            assert_eq!(with("?user=ann@example.com").await.unwrap().status(), status, "{scopes}");
            assert_eq!(with("?user=boss@example.com").await.unwrap().status(), 200, "{scopes}");
        }
    }

    async fn what_is_too_much_for_one_answer_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let owner = id_of(&ann).await.parse::<uuid::Uuid>().unwrap();
        app.settle().await;
        for (day, many) in [(TODAY, 20_000), (TODAY - 1, 1)] {
            let insert = "insert into usage_days (owner, day, model, replies, completed, stopped, interrupted, \
                              prompt_tokens, completion_tokens, estimated) \
                          with recursive numbers (i) as (select 1 union all select i + 1 from numbers where i < $1) \
                          select $2, $3, 'model ' || i, 1, 1, 0, 0, 0, 0, 0 from numbers";
            let mut batch = app.read_models.usage.begin().await.unwrap();
            store::on_tx!(&mut batch.tx, connection => {
                sqlx::query(insert).bind(many).bind(owner).bind(day).execute(connection).await.map(|_| ())
            }).unwrap();
            let position = batch.position;
            batch.commit(position).await.unwrap();
        }
        assert_eq!(usage(&ann, "?since=2026-01-01").await["total"]["replies"], 20_000);
        assert_eq!(ask(&ann, "").await.status(), 422);
    }

    async fn what_is_no_day_is_named_and_not_repeated(app: TestApp) {
        let ann = app.user("ann").await;
        for (query, fields) in [
            ("?since=hunter2", vec!["since"]),
            ("?until=2026-02-30", vec!["until"]),
            ("?since=hunter2&until=7d", vec!["since", "until"]),
            ("?since=2026-01-02", vec!["since"]),
            ("?since=2025-01-01&until=2026-01-02", vec!["since"]),
        ] {
            let answer = ask(&ann, query).await;
            assert_eq!(answer.status(), 422, "{query}");
            let problem: Value = answer.json().await.unwrap();
            let named: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
            assert_eq!(named, fields, "{query}");
            assert!(!problem.to_string().contains("hunter2"));
        }
        assert_eq!(usage(&ann, "?since=2025-01-01&until=2026-01-01").await["since"], "2025-01-01", "366 days");
    }
}
