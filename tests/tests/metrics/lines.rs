//! The log of the real binary: one line for each request, its id on all that is said of it, and no more than should be.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tests::{Service, Stage, on_both_engines};

/// The lines of JSON that were said so far.
fn lines(service: &Service) -> Vec<Value> {
    let lines: Vec<Value> = service.node.logs().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    lines
}

fn is_of(line: &Value, request: &str) -> bool {
    let spans = line["spans"].as_array();
    spans.is_some_and(|spans| spans.iter().any(|span| span["request_id"] == request))
}

async fn ask(service: &Service, id: &str, method: Method, path: &str, body: Option<Value>, token: &str) -> Value {
    let request = service.request(method, path).header("x-request-id", id).bearer_auth(token);
    let request = body.iter().fold(request, reqwest::RequestBuilder::json);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], id);
    answer.json().await.unwrap_or_default()
}

on_both_engines! {
    async fn each_request_has_one_line_and_all_that_is_said_has_its_id(stage: Stage) {
        let mut service = Service::start(stage, &[("COLLOQUY_LOG", "trace")]).await;
        let who = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
        ask(&service, "registers", Method::POST, "/api/v1/users/register", Some(who.clone()), "").await;
        let signed_in = ask(&service, "signs-in", Method::POST, "/api/v1/users/login", Some(who), "").await;
        let token = signed_in["access_token"].as_str().unwrap();
        ask(&service, "posts", Method::POST, "/api/v1/chat", Some(json!({"message": "hello"})), token).await;
        ask(&service, "reads", Method::GET, "/api/v1/chat/history?limit=7", None, token).await;
        ask(&service, "strays", Method::GET, "/nowhere?limit=7", None, token).await;
        ask(&service, "probes", Method::GET, "/live", None, "").await;
        assert!(service.node.terminate().await.success());
        let lines = lines(&service);
        for (id, method, path, status) in [
            ("registers", "POST", "/api/v1/users/register", 201),
            ("signs-in", "POST", "/api/v1/users/login", 200),
            ("posts", "POST", "/api/v1/chat", 200),
            ("reads", "GET", "/api/v1/chat/history", 200),
            ("strays", "GET", "/nowhere", 404),
            ("probes", "GET", "/live", 200),
        ] {
            let answered: Vec<_> =
                lines.iter().filter(|line| is_of(line, id) && line["message"] == "answered").collect();
            assert_eq!(answered.len(), 1, "{id}");
            let line = answered[0];
            assert_eq!((&line["status"], &line["level"]), (&json!(status), &json!("INFO")));
            assert!(line["micros"].as_u64().unwrap() > 0 && line["timestamp"].is_string());
            let span = &line["spans"][0];
            assert_eq!((&span["method"], &span["path"]), (&json!(method), &json!(path)));
        }
        assert_eq!(lines.iter().filter(|line| line["message"] == "answered").count(), 6);
        let commands = |line: &&Value| line["spans"].as_array().is_some_and(|all| all.iter().any(|it| it["name"] == "command"));
        let within: Vec<_> = lines.iter().filter(commands).collect();
        assert!(within.iter().any(|line| is_of(line, "signs-in")), "nothing is said within a command");
        for line in within {
            assert!(["registers", "signs-in", "posts"].iter().any(|id| is_of(line, id)), "{line}");
        }
        assert!(!service.node.logs().contains("limit=7"), "what is asked for may be a secret");
    }

    async fn what_is_said_while_a_body_goes_out_has_its_requests_id(stage: Stage) {
        let mut service = Service::start(stage, &[("COLLOQUY_LOG", "info,sqlx=debug")]).await;
        let who = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
        ask(&service, "registers", Method::POST, "/api/v1/users/register", Some(who.clone()), "").await;
        let signed_in = ask(&service, "signs-in", Method::POST, "/api/v1/users/login", Some(who), "").await;
        let token = signed_in["access_token"].as_str().unwrap();
        // More than goes out at once.
        for _ in 0..24 {
            let message = json!({"message": "x".repeat(4_000)});
            ask(&service, "posts", Method::POST, "/api/v1/chat", Some(message), token).await;
        }
        let exported = ask(&service, "exports", Method::GET, "/api/v1/export", None, token).await;
        assert_eq!(exported["sessions"].as_array().unwrap().len(), 24);
        assert!(service.node.terminate().await.success());
        let lines = lines(&service);
        let mut of_it = lines.iter().filter(|line| is_of(line, "exports"));
        assert!(of_it.any(|line| line["message"] == "answered"));
        assert!(of_it.any(|line| line["target"] == "sqlx::query"), "what was read for the body is not told of");
    }
}

#[tokio::test]
async fn a_fault_has_its_requests_id_whatever_is_filtered() {
    let mut service = Service::start(Stage::sqlite().await, &[("COLLOQUY_LOG", "error,colloquy::serve=info")]).await;
    let file = format!("sqlite://{}/log.db", service.stage.folder().display());
    let mut log = SqliteConnection::connect(&file).await.unwrap();
    log.execute("alter table events rename to elsewhere").await.unwrap();
    let who = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
    ask(&service, "fails", Method::POST, "/api/v1/users/register", Some(who), "").await;
    service.node.child().until("a request failed").await;
    let lines = lines(&service);
    let faults: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(faults.iter().any(|line| is_of(line, "fails") && line["message"] == "a request failed"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line["message"] == "answered"));
}

#[tokio::test]
async fn the_log_can_be_read_by_people() {
    let service = Service::start(Stage::sqlite().await, &[("COLLOQUY_LOG_FORMAT", "text")]).await;
    ask(&service, "probes", Method::GET, "/live", None, "").await;
    let mut node = service.node;
    let line = node.child().until("answered").await;
    assert!(line.contains("INFO request{request_id=\"probes\" method=GET path=\"/live\"}"), "{line}");
    assert!(line.contains("answered status=200 micros="), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours where nobody sees them");
}
