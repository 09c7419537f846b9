//! Budgets: reserved before a model is asked, then counted as what it took; who has none left asks nobody.

use std::str::FromStr;

use api::{Budgets, Rates};
use domain::limit::{Budget, Good};
use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::on_write;
use tests::app::{Options, Persona};
use tests::fake_provider::{Script, Step};
use tests::{FakeProvider, Stage, TestApp, on_both_engines};

use crate::cast::code;

const DAY: i64 = 86_400;

fn tokens(text: &str) -> Vec<Budget> {
    if text == "off" { Vec::new() } else { Budget::read(text, Good::Tokens).unwrap() }
}

/// Of a user, and of a key.
async fn start(stage: Stage, [user, key]: [&str; 2]) -> (TestApp, FakeProvider) {
    start_with(stage, Budgets { user: tokens(user), key: tokens(key) }).await
}

async fn start_with(stage: Stage, budgets: Budgets) -> (TestApp, FakeProvider) {
    let fake = FakeProvider::start().await;
    let mut options = Options { rates: Rates { budgets, ..Rates::default() }, ..Options::asking(&fake) };
    options.providers.prices = replies::Prices::from_str("fake/one=1/2").unwrap();
    (TestApp::start(stage, options).await, fake)
}

/// What takes so many tokens, both ways.
fn takes(prompt: u64, completion: u64) -> Script {
    Script::of(vec![Step::Text("words".to_owned()), Step::Usage { prompt, completion }, Step::Finish("stop")])
}

/// The same, when it is let go.
fn gated(prompt: u64, completion: u64) -> Script {
    let mut script = takes(prompt, completion);
    script.steps.insert(1, Step::Gate);
    script
}

/// `hello` is two tokens of a question, to which come those of the answer.
fn hello(most: u64) -> Value {
    json!({"message": "hello", "max_tokens": most})
}

async fn post(who: &Persona<'_>, path: &str, body: Value) -> Response {
    who.request(Method::POST, path).json(&body).send().await.unwrap()
}

async fn say(who: &Persona<'_>, most: u64) -> u16 {
    post(who, "/api/v1/chat", hello(most)).await.status().as_u16()
}

/// Asks for a reply that is made in the background.
async fn begin(who: &Persona<'_>, most: u64) -> String {
    let answer = post(who, "/api/v1/chat/background", hello(most)).await;
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["task_id"].as_str().unwrap().to_owned()
}

async fn until_over(app: &TestApp, who: &Persona<'_>, task: &str) {
    let path = format!("/api/v1/chat/tasks/{task}");
    app.until(async || {
        let task: Value = who.request(Method::GET, &path).send().await.unwrap().json().await.unwrap();
        ["completed", "failed", "stopped", "cancelled", "interrupted"].contains(&task["status"].as_str().unwrap())
    })
    .await;
}

async fn refused(answer: Response) -> Value {
    assert_eq!(answer.status(), 429);
    let header = answer.headers()["retry-after"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["code"], &body["retry_after"]),
        (&json!("budget_exceeded"), &json!(header.parse::<u64>().unwrap()))
    );
    json!([body["budget"], body["limit"], body["current_usage"], body["retry_after"]])
}

async fn budgets(who: &Persona<'_>) -> Value {
    let answer = who.request(Method::GET, "/api/v1/usage").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["budgets"].clone()
}

/// Spent and reserved of the first one.
async fn standing(who: &Persona<'_>) -> (u64, u64) {
    let budget = budgets(who).await[0].clone();
    (budget["spent"].as_u64().unwrap(), budget["reserved"].as_u64().unwrap())
}

async fn key_of(who: &Persona<'_>) -> String {
    let made = post(who, "/api/v1/keys", json!({"name": "mine"})).await;
    made.json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned()
}

async fn by_key(app: &TestApp, key: &str, most: u64) -> Response {
    app.request(Method::POST, "/api/v1/chat").header("x-api-key", key).json(&hello(most)).send().await.unwrap()
}

on_both_engines! {
    async fn who_has_spent_it_is_refused_by_name_and_no_model_is_asked(stage: Stage) {
        let (app, fake) = start(stage, ["100/day, 5000/month", "off"]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        fake.then(takes(30, 40));
        assert_eq!(say(&ann, 50).await, 200);
        app.clock.advance(400);
        let over = refused(post(&ann, "/api/v1/chat", hello(50)).await).await;
        assert_eq!(over, json!(["user_tokens_per_day", 100, 70, DAY - 400]));
        assert_eq!(refused(post(&ann, "/api/v1/chat/background", hello(29)).await).await, over);
        let over = refused(post(&ann, "/api/v1/chat", json!({"message": "hello"})).await).await;
        assert_eq!(over[0], "user_tokens_per_day", "who says nothing wants a thousand");
        assert_eq!(fake.asked().len(), 1);
        assert_eq!(say(&bob, 50).await, 200, "it is not bob's");
        assert_eq!(say(&ann, 28).await, 200, "there was room for that");
        let rules = json!({"message": "hello", "model": "rules", "max_tokens": 5000});
        assert_eq!(post(&ann, "/api/v1/chat", rules).await.status(), 200, "the rule bot costs nothing");
    }

    async fn what_is_reserved_for_a_reply_that_is_being_made_nobody_else_spends(stage: Stage) {
        let (app, fake) = start(stage, ["100/day", "off"]).await;
        let ann = app.user("ann").await;
        fake.then(gated(10, 5));
        let asked = join_all((0..6).map(|_| post(&ann, "/api/v1/chat/background", hello(50)))).await;
        let (admitted, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|answer| answer.status() == 200);
        assert_eq!((admitted.len(), standing(&ann).await), (1, (0, 52)));
        for other in others {
            let over = refused(other).await;
            assert_eq!(over, json!(["user_tokens_per_day", 100, 52, 5]), "it may be over soon");
        }
        assert_eq!(fake.until_asked(1).await.len(), 1);
        fake.release();
        let task = admitted.into_iter().next().unwrap().json::<Value>().await.unwrap();
        until_over(&app, &ann, task["task_id"].as_str().unwrap()).await;
        // What it took is known, and no more is reserved.
        assert_eq!(standing(&ann).await, (15, 0));
        assert_eq!(say(&ann, 83).await, 200);
    }

    async fn however_a_reply_ends_what_it_took_is_spent(stage: Stage) {
        let (app, fake) = start(stage, ["1000/day", "off"]).await;
        let ann = app.user("ann").await;
        fake.then(Script::stalls_after(&["some ", "words "]));
        let stopped = begin(&ann, 100).await;
        app.until(async || fake.open() == 1).await;
        assert_eq!(standing(&ann).await, (0, 102));
        assert_eq!(post(&ann, &format!("/api/v1/chat/tasks/{stopped}/cancel"), json!({})).await.status(), 200);
        let (spent, reserved) = standing(&ann).await;
        assert_eq!(reserved, 0);
        assert!(spent < 102, "{spent}");
        fake.then(Script::cut_after(&["some ", "words "]));
        let broken = begin(&ann, 100).await;
        until_over(&app, &ann, &broken).await;
        let (more, reserved) = standing(&ann).await;
        assert!(reserved == 0 && more > spent && more < spent + 102, "{more} {reserved}");
        app.settle().await;
        let usage: Value = ann.request(Method::GET, "/api/v1/usage").send().await.unwrap().json().await.unwrap();
        assert_eq!((&usage["total"]["total_tokens"], standing(&ann).await), (&json!(more), (more, 0)));
    }

    async fn what_comes_to_nothing_reserves_nothing(stage: Stage) {
        let (app, fake) = start(stage, ["100/day", "off"]).await;
        let ann = app.user("ann").await;
        let nowhere = json!({"message": "hello", "max_tokens": 50, "session_id": uuid::Uuid::nil()});
        assert_eq!(post(&ann, "/api/v1/chat/background", nowhere).await.status(), 404);
        assert_eq!(standing(&ann).await, (0, 0));
        fake.then(gated(10, 5));
        let under_key = |body: Value| {
            let request = ann.request(Method::POST, "/api/v1/chat/background").header("idempotency-key", "mine");
            request.json(&body).send()
        };
        let keyed = async || {
            under_key(hello(50)).await.unwrap().json::<Value>().await.unwrap()["task_id"].clone()
        };
        let task = keyed().await;
        assert_eq!((keyed().await, standing(&ann).await), (task.clone(), (0, 52)), "the same reply");
        let other = under_key(json!({"message": "another", "max_tokens": 30})).await.unwrap();
        assert_eq!(code(other, 422).await, "idempotency_key_reused");
        assert_eq!(standing(&ann).await, (0, 52), "what is reserved for the first one stays so");
        fake.until_asked(1).await;
        fake.release();
        until_over(&app, &ann, task.as_str().unwrap()).await;
        app.settle().await;
        assert_eq!((keyed().await, standing(&ann).await), (task, (15, 0)));
    }

    async fn what_came_before_is_answered_though_nothing_is_left(stage: Stage) {
        let (app, fake) = start(stage, ["100/day", "off"]).await;
        let ann = app.user("ann").await;
        fake.then(takes(60, 40));
        let keyed = async || {
            let request = ann.request(Method::POST, "/api/v1/chat").header("idempotency-key", "mine");
            let answer = request.json(&hello(50)).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["message_id"].clone())
        };
        let first = keyed().await;
        assert_eq!((first.0, say(&ann, 1).await, keyed().await), (200, 429, first.clone()));
        assert_eq!((standing(&ann).await, fake.asked().len()), ((100, 0), 1));
    }

    async fn whose_budget_is_spent_still_counts_for_the_address(stage: Stage) {
        let rates = Rates { address: Some("20/minute".parse().unwrap()), budgets: Budgets { user: tokens("10/day"), key: Vec::new() }, ..Rates::default() };
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options { rates, ..Options::asking(&fake) }).await;
        let ann = app.user("ann").await;
        for left in [17, 16] {
            let over = post(&ann, "/api/v1/chat", hello(50)).await;
            assert_eq!(over.headers()["ratelimit"], format!(r#""address";r={left};t=60"#));
            assert_eq!(code(over, 429).await, "budget_exceeded");
        }
    }

    // What a model will be told of the conversation counts from the beginning.
    async fn what_was_said_before_is_reserved_for(stage: Stage) {
        let (app, fake) = start(stage, ["1000/day", "off"]).await;
        let ann = app.user("ann").await;
        fake.then(Script::says(&["four letters each "; 20]));
        let said = post(&ann, "/api/v1/chat", hello(50)).await.json::<Value>().await.unwrap();
        let (before, _) = standing(&ann).await;
        app.settle().await;
        fake.then(gated(1, 1));
        let body = json!({"message": "hello", "max_tokens": 50, "session_id": said["session_id"]});
        assert_eq!(post(&ann, "/api/v1/chat/background", body).await.status(), 200);
        // Twenty times eighteen letters, and twice a word of two tokens.
        assert_eq!(standing(&ann).await, (before, 20 * 18 / 4 + 2 + 2 + 50));
        fake.until_asked(2).await;
        fake.release();
    }

    async fn a_new_day_and_a_new_month_are_free(stage: Stage) {
        let (app, fake) = start(stage, ["100/day, 250/month", "off"]).await;
        let mut ann = app.user("ann").await;
        for (days, expected) in [(0, 200), (0, 429), (1, 200), (0, 429), (1, 429), (29, 200), (0, 429)] {
            app.clock.advance(days * DAY);
            if days > 0 {
                ann = app.sign_in("ann@example.com").await;
            }
            fake.always("one", takes(40, 60));
            assert_eq!(say(&ann, 98).await, expected, "{days} days later");
        }
        app.clock.advance(DAY);
        let ann = app.sign_in("ann@example.com").await;
        let (today, month) = (budgets(&ann).await[0].clone(), budgets(&ann).await[1].clone());
        assert_eq!((&today["spent"], &month["spent"]), (&json!(0), &json!(100)));
        assert_eq!((&today["resets_at"], &month["resets_at"]), (&json!("2026-02-03T00:00:00Z"), &json!("2026-03-01T00:00:00Z")));
    }

    async fn a_key_has_its_own_and_its_users(stage: Stage) {
        let (app, fake) = start(stage, ["300/day", "100/day"]).await;
        let ann = app.user("ann").await;
        let (one, other) = (key_of(&ann).await, key_of(&ann).await);
        fake.always("one", takes(40, 50));
        assert_eq!(by_key(&app, &one, 50).await.status(), 200);
        let over = refused(by_key(&app, &one, 50).await).await;
        assert_eq!(over, json!(["key_tokens_per_day", 100, 90, DAY]));
        app.settle().await;
        assert_eq!(refused(by_key(&app, &one, 50).await).await, over, "as the read model says");
        assert_eq!(by_key(&app, &other, 50).await.status(), 200);
        assert_eq!(say(&ann, 98).await, 200, "who uses no key has no key's budget");
        let over = refused(post(&ann, "/api/v1/chat", hello(98)).await).await;
        assert_eq!(over, json!(["user_tokens_per_day", 300, 270, DAY]));
        let shown = app.request(Method::GET, "/api/v1/usage").header("x-api-key", &one).send().await.unwrap();
        let shown = shown.json::<Value>().await.unwrap()["budgets"].clone();
        let budget = |name: &str, limit: u64, spent: u64| json!({"name": name, "limit": limit, "spent": spent, "reserved": 0,
            "remaining": limit - spent, "resets_at": "2026-01-02T00:00:00Z"});
        assert_eq!(shown, json!([budget("user_tokens_per_day", 300, 270), budget("key_tokens_per_day", 100, 90)]));
        assert_eq!(budgets(&ann).await, json!([budget("user_tokens_per_day", 300, 270)]));
    }

    async fn money_is_counted_where_a_model_has_a_price(stage: Stage) {
        let user = Budget::read("0.0005/day", Good::Cost).unwrap();
        let (app, fake) = start_with(stage, Budgets { user, key: Vec::new() }).await;
        let ann = app.user("ann").await;
        fake.always("one", takes(100, 100));
        assert_eq!(say(&ann, 240).await, 200);
        let shown = json!([{"name": "user_cost_per_day", "limit": 0.0005, "spent": 0.0003, "reserved": 0,
            "remaining": 0.0002, "resets_at": "2026-01-02T00:00:00Z"}]);
        assert_eq!(budgets(&ann).await, shown);
        let over = refused(post(&ann, "/api/v1/chat", hello(100)).await).await;
        assert_eq!(over, json!(["user_cost_per_day", 0.0005, 0.0003, DAY]));
        let unpriced = json!({"message": "hello", "model": "fake/limited"});
        assert_eq!(post(&ann, "/api/v1/chat", unpriced).await.status(), 200);
        assert_eq!(say(&ann, 99).await, 200);
    }

    async fn each_way_to_ask_reserves(stage: Stage) {
        let (app, fake) = start(stage, ["100/day", "off"]).await;
        let ann = app.user("ann").await;
        fake.then(takes(10, 30));
        let said = post(&ann, "/api/v1/chat", hello(50)).await.json::<Value>().await.unwrap();
        let again = format!("/api/v1/messages/{}/regenerate", said["message_id"].as_str().unwrap());
        fake.then(gated(10, 20));
        assert_eq!(post(&ann, &again, json!({})).await.status(), 201);
        assert_eq!(standing(&ann).await, (40, 52));
        let message = said["user_message_id"].as_str().unwrap();
        for path in [&again, &format!("/api/v1/messages/{message}/edit"), "/api/v1/chat/stream"] {
            assert_eq!(code(post(&ann, path, hello(50)).await, 429).await, "budget_exceeded", "{path}");
        }
        fake.until_asked(2).await;
        fake.release();
    }

    async fn what_is_lost_is_known_from_the_log(stage: Stage) {
        let (app, fake) = start(stage, ["100/day", "100/day"]).await;
        let ann = app.user("ann").await;
        let key = key_of(&ann).await;
        fake.always("one", takes(40, 50));
        assert_eq!(by_key(&app, &key, 50).await.status(), 200);
        let empty = "delete from limits";
        on_write!(app.limits.db(), pool => sqlx::query(empty).execute(pool).await.map(|_| ())).unwrap();
        assert_eq!(refused(post(&ann, "/api/v1/chat", hello(50)).await).await[2], 90);
        assert_eq!(refused(by_key(&app, &key, 50).await).await[2], 90);
        // And where nothing can be kept at all.
        let away = "alter table limits rename to elsewhere";
        on_write!(app.limits.db(), pool => sqlx::query(away).execute(pool).await.map(|_| ())).unwrap();
        assert_eq!(refused(post(&ann, "/api/v1/chat", hello(50)).await).await[2], 90);
        assert_eq!(say(&ann, 8).await, 200);
    }

    async fn the_audit_log_shows_a_budget_that_was_reached(stage: Stage) {
        let (app, _fake) = start(stage, ["10/day", "off"]).await;
        let ann = app.user("ann").await;
        assert_eq!((say(&ann, 50).await, say(&ann, 50).await), (429, 429));
        let rows = async || {
            let audit = ann.request(Method::GET, "/api/v1/audit/tokens?kind=limit_reached").send().await.unwrap();
            audit.json::<Value>().await.unwrap()["items"].as_array().unwrap().clone()
        };
        app.until(async || !rows().await.is_empty()).await;
        let rows = rows().await;
        assert_eq!((rows.len(), &rows[0]["outcome"], &rows[0]["reason"]), (1, &json!("refused"), &json!("budget")));
    }
}
