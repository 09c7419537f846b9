//! The real binary: every process answers `/metrics`, whatever it does.

use reqwest::{Client, Response};
use sqlx::{Connection, Executor, SqliteConnection};
use tests::service::SECRET;
use tests::{Asker, Colloquy, Nats, Postgres, Service, Stage};

use crate::page::Page;

async fn ask(node: &Colloquy, login: Option<(&str, &str)>) -> Response {
    let request = Client::new().get(format!("{}/metrics", node.url()));
    let request = login.into_iter().fold(request, |request, (user, password)| request.basic_auth(user, Some(password)));
    request.send().await.unwrap()
}

#[tokio::test]
async fn every_process_answers_whatever_its_roles() {
    let (postgres, nats) = (Postgres::start().await, Nats::start().await);
    let url = postgres.database().await;
    for roles in ["project", "relay", "reply", "api"] {
        let node = Colloquy::builder().env("DATABASE_URL", &url).env("NATS_URL", nats.url()).env("SECRET_KEY", SECRET);
        let login = [("METRICS_USER", "prometheus"), ("METRICS_PASS", "a password")];
        let node =
            login.into_iter().fold(node.env("COLLOQUY_ROLES", roles), |node, (name, value)| node.env(name, value));
        let node = node.start().await;
        assert_eq!(ask(&node, None).await.status(), 401, "{roles}");
        let page = Page::of(ask(&node, Some(("prometheus", "a password"))).await).await;
        assert_eq!(page.value("colloquy_log_up", &[]), 1.0, "{roles}");
        let stuck = page.get("colloquy_projection_stuck", &[("projection", "history")]);
        assert_eq!(stuck, (roles == "project").then_some(0.0));
    }
}

#[tokio::test]
async fn limits_that_are_away_are_told_in_metrics_and_in_the_log() {
    let limits = [("RATE_LIMIT_IP", "1000/minute"), ("RATE_LIMIT_USER", "100/minute")];
    let mut service = Service::start(Stage::sqlite().await, &limits).await;
    Asker::register(&service.node.url(), "ann").await;
    let local = async |service: &Service| {
        let page = Page::of(ask(&service.node, None).await).await;
        page.value("colloquy_limits_local", &[])
    };
    assert_eq!(local(&service).await, 0.0);
    let file = format!("sqlite://{}/limits.db", service.stage.folder().display());
    let mut database = SqliteConnection::connect(&file).await.unwrap();
    database.execute("alter table limits rename to elsewhere").await.unwrap();
    let jwks = async |service: &Service| service.request(reqwest::Method::GET, "/.well-known/jwks.json").send().await;
    // What is at hand may last a while.
    while local(&service).await < 1.0 {
        assert_eq!(jwks(&service).await.unwrap().status(), 200);
    }
    service.node.child().until("limits are decided by this node alone").await;
    database.execute("alter table elsewhere rename to limits").await.unwrap();
    while local(&service).await > 0.0 {
        assert_eq!(jwks(&service).await.unwrap().status(), 200);
        tokio::task::yield_now().await;
    }
    service.node.child().until("limits are decided by all nodes again").await;
}
