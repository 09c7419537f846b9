//! What happens is counted, once, where it belongs.

use api::{Budgets, Rates};
use domain::Timestamp;
use domain::limit::{Budget, Good};
use reqwest::{Method, Response};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store::{Append, AppendError, Guard, NewEvent};
use tests::app::{Options, Persona};
use tests::fake_provider::{Script, Step};
use tests::{FakeProvider, Stage, TestApp, on_both_engines};
use tokio::net::TcpStream;

use crate::page::{Page, page};

const DOCUMENT: &str = include_str!("../../../docs/ARCHITECTURE.md");

async fn post(who: &Persona<'_>, model: &str) -> Response {
    let body = json!({"message": "hello", "model": model});
    who.request(Method::POST, "/api/v1/chat").json(&body).send().await.unwrap()
}

fn requests(page: &Page, method: &str, route: &str, status: &str) -> u32 {
    let labels = [("method", method), ("route", route), ("status", status)];
    let all = page.sum("colloquy_http_requests_total", &labels[..2]);
    assert_eq!(all, page.value("colloquy_http_request_seconds_count", &labels[..2]), "each was measured");
    page.number("colloquy_http_requests_total", &labels)
}

fn limits(page: &Page, limit: &str) -> (u32, u32) {
    let of = |outcome| page.number("colloquy_limit_decisions_total", &[("limit", limit), ("outcome", outcome)]);
    (of("admitted"), of("refused"))
}

fn replies(page: &Page, provider: &str, outcome: &str) -> u32 {
    page.number("colloquy_replies_total", &[("provider", provider), ("outcome", outcome)])
}

/// What was decided by a stream that has grown meanwhile.
fn outdated(conversation: &Value) -> Append {
    let payload = to_raw_value(&json!({})).unwrap();
    let id = conversation.as_str().unwrap().to_owned();
    let event = NewEvent {
        stream_type: "conversation",
        stream_id: "never".to_owned(),
        sequence: 1,
        event_type: "ConversationDeleted",
        event_version: "1",
        payload: payload.clone(),
    };
    let guard = Guard { stream_type: "conversation", stream_id: id, sequence: 0 };
    Append { events: vec![event], guards: vec![guard], metadata: payload, recorded_at: Timestamp::from_micros(7) }
}

on_both_engines! {
    async fn requests_replies_and_limits_are_counted(stage: Stage) {
        let fake = FakeProvider::start().await;
        let user = Budget::read("100000/day", Good::Tokens).unwrap();
        let rates = Rates {
            user: Some("3/minute".parse().unwrap()),
            budgets: Budgets { user, ..Budgets::default() },
            ..Rates::default()
        };
        let sign_in_rate = Some("2/minute".parse().unwrap());
        let app = TestApp::start(stage, Options { rates, sign_in_rate, ..Options::asking(&fake) }).await;
        let ann = app.user("ann").await;
        assert_eq!(post(&ann, "rules").await.status(), 200);
        fake.then(Script::says(&["Hello", "!"]));
        assert_eq!(post(&ann, "fake/one").await.status(), 200);
        fake.then(Script::fails(400));
        assert_eq!(post(&ann, "fake/one").await.status(), 502);
        assert_eq!(post(&ann, "fake/one").await.status(), 429);
        let too_long = json!({"message": "hello", "model": "fake/one", "max_tokens": 100_000});
        let refused = ann.request(Method::POST, "/api/v1/chat").json(&too_long).send().await.unwrap();
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "budget_exceeded");
        let sign_in = json!({"email": "ann@example.com", "password": "whatever it is"});
        for status in [401, 429] {
            let answer = app.request(Method::POST, "/api/v1/users/login").json(&sign_in).send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
        let odd = app.request("BREW".parse().unwrap(), "/api/v1/chat").send().await.unwrap();
        assert_eq!(odd.status(), 405);
        for path in ["/nowhere/a", "/nowhere/b", "/api/v1/messages/none", "/api/v1/messages/nothing"] {
            assert_eq!(ann.request(Method::GET, path).send().await.unwrap().status(), 404);
        }

        // Who waits is answered when the end is written, and that is when it is counted.
        let ended = |page: &Page| replies(page, "fake", "completed") + replies(page, "fake", "provider_refused");
        app.until(async || ended(&page(&app).await) == 2).await;
        let page = page(&app).await;
        assert_eq!(requests(&page, "POST", "/api/v1/users/register", "201"), 1);
        assert_eq!(requests(&page, "POST", "/api/v1/users/login", "200"), 1);
        assert_eq!(requests(&page, "POST", "/api/v1/chat", "200"), 2);
        assert_eq!(requests(&page, "POST", "/api/v1/chat", "502"), 1);
        assert_eq!(requests(&page, "POST", "/api/v1/chat", "429"), 2);
        assert_eq!(requests(&page, "other", "/api/v1/chat", "405"), 1);
        assert_eq!(requests(&page, "GET", "other", "404"), 2);
        assert_eq!(requests(&page, "GET", "/api/v1/messages/{id}", "404"), 2);
        assert_eq!(limits(&page, "user"), (3, 1));
        assert_eq!(limits(&page, "budget"), (2, 1));
        assert_eq!(limits(&page, "sign_in"), (2, 1));
        assert_eq!(limits(&page, "registration"), (1, 0));
        assert_eq!((limits(&page, "service"), limits(&page, "address")), ((0, 0), (0, 0)), "there are none");
        assert_eq!(replies(&page, "rules", "completed"), 1);
        assert_eq!(replies(&page, "fake", "completed"), 1);
        assert_eq!(replies(&page, "fake", "provider_refused"), 1);
        assert_eq!(page.number("colloquy_reply_first_token_seconds_count", &[("provider", "fake")]), 1);
        let post = [("method", "POST"), ("route", "/api/v1/chat")];
        for (family, labels, bounds) in [
            ("colloquy_append_batch_seconds", &[][..], ["0.0001", "30"]),
            ("colloquy_append_batch_size", &[][..], ["1", "512"]),
            ("colloquy_http_request_seconds", &post[..], ["0.001", "900"]),
            ("colloquy_reply_first_token_seconds", &[("provider", "fake")][..], ["0.05", "120"]),
        ] {
            for bound in bounds {
                page.value(&format!("{family}_bucket"), &[labels, &[("le", bound)]].concat());
            }
        }
        assert_eq!(page.value("colloquy_passwords_waiting", &[]), 0.0);
        assert_eq!((page.value("colloquy_limits_local", &[]), page.value("colloquy_bus_up", &[])), (0.0, 1.0));
        for family in page.families() {
            assert!(DOCUMENT.contains(&format!("`{family}`")), "docs/ARCHITECTURE.md does not name {family}");
        }
    }

    async fn the_log_and_what_follows_it_are_shown(app: TestApp) {
        let ann = app.user("ann").await;
        let said = ann.say("hello", None).await;
        app.settle().await;
        let head = app.stage.log.head().await.unwrap();
        app.until(async || app.stage.bus.reached().await == Some(head)).await;
        let before = page(&app).await;
        let appended = app.stage.log.append(outdated(&said["session_id"])).await;
        assert!(matches!(appended, Err(AppendError::Conflict)));
        let after = page(&app).await;
        let grown = |name: &str| after.number(name, &[]) - before.number(name, &[]);
        assert_eq!(grown("colloquy_append_conflicts_total"), 1);
        assert_eq!(grown("colloquy_append_batch_size_count"), 1);
        assert_eq!(grown("colloquy_append_batch_seconds_count"), 1);
        assert_eq!((grown("colloquy_append_batch_size_sum"), grown("colloquy_append_failures_total")), (1, 0));

        let head = u32::try_from(head.get()).unwrap();
        assert_eq!((after.value("colloquy_log_up", &[]), after.number("colloquy_log_head_position", &[])), (1.0, head));
        assert_eq!(after.number("colloquy_relay_position", &[]), head);
        assert_eq!(after.value("colloquy_relay_lag_events", &[]), 0.0);
        for name in projections::ReadModels::NAMES {
            let of = |family: &str| after.value(&format!("colloquy_projection_{family}"), &[("projection", name)]);
            assert_eq!((of("position"), of("stuck")), (f64::from(head), 0.0), "{name}");
            assert_eq!((of("lag_events"), of("lag_seconds")), (0.0, 0.0), "{name}");
        }
        assert!(after.value("process_cpu_seconds_total", &[]) > 0.0);
        assert!(after.value("process_resident_memory_bytes", &[]) > 1e6);
        assert!(after.value("process_open_fds", &[]) > 3.0 && after.value("process_threads", &[]) > 1.0);
        assert!(after.value("process_start_time_seconds", &[]) > 1.7e9);
    }

    async fn who_is_connected_is_counted_for_as_long(app: TestApp) {
        let connected = async || page(&app).await.value("colloquy_http_connections", &[]);
        let before = connected().await;
        assert!(before >= 1.0, "who asks is connected");
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(app.address()).await.unwrap());
        }
        app.until(async || connected().await == before + 3.0).await;
        drop(clients);
        app.until(async || connected().await == before).await;
    }

    async fn who_leaves_before_the_answer_is_counted_once(stage: Stage) {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        let ann = app.user("ann").await;
        fake.then(Script::of(vec![Step::Gate, Step::Text("late".to_owned()), Step::Finish("stop")]));
        let waiting = async { post(&ann, "fake/one").await };
        tokio::select! {
            _ = waiting => panic!("nobody has answered"),
            _ = fake.until_asked(1) => {}
        }
        let gone = async || requests(&page(&app).await, "POST", "/api/v1/chat", "499");
        app.until(async || gone().await == 1).await;
        fake.release();
        app.until(async || replies(&page(&app).await, "fake", "completed") == 1).await;
        let page = page(&app).await;
        assert_eq!((requests(&page, "POST", "/api/v1/chat", "200"), gone().await), (0, 1));
    }

    async fn who_is_stopped_is_counted_as_such(stage: Stage) {
        let fake = FakeProvider::start().await;
        let app = TestApp::start(stage, Options::asking(&fake)).await;
        let ann = app.user("ann").await;
        fake.then(Script::of(vec![Step::Text("some".to_owned()), Step::Gate, Step::Finish("stop")]));
        let body = json!({"message": "hello", "model": "fake/one"});
        let task = ann.request(Method::POST, "/api/v1/chat/background").json(&body).send().await.unwrap();
        let task: Value = task.json().await.unwrap();
        fake.until_asked(1).await;
        let path = format!("/api/v1/chat/tasks/{}/cancel", task["task_id"].as_str().unwrap());
        assert_eq!(ann.request(Method::POST, &path).send().await.unwrap().status(), 200);
        app.until(async || replies(&page(&app).await, "fake", "stopped") == 1).await;
    }
}
