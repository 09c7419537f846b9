//! What can't be known now is left out, and nobody waits for it long.

use std::time::{Duration, Instant};

use sqlx::Connection;
use store::on_write;
use tests::{Stage, TestApp, on_both_engines};

use crate::page::{Page, page};

/// As Prometheus has it by default, an answer would be late after ten; probes are not as patient.
const LATE: Duration = Duration::from_secs(2);

async fn in_time(app: &TestApp) -> Page {
    let begun = Instant::now();
    let page = page(app).await;
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    page
}

fn knows_nothing_of_the_log(page: &Page) {
    assert_eq!(page.value("colloquy_log_up", &[]), 0.0);
    for unknown in ["log_head_position", "relay_lag_events", "projection_lag_events", "projection_lag_seconds"] {
        assert!(!page.families().any(|family| family == format!("colloquy_{unknown}")), "{unknown}");
    }
    assert!(page.value("colloquy_projection_position", &[("projection", "history")]) > 0.0);
    assert!(page.get("process_threads", &[]).is_some(), "the rest is there");
}

on_both_engines! {
    async fn without_its_table_the_log_is_down(app: TestApp) {
        app.user("ann").await.say("hello", None).await;
        app.settle().await;
        assert_eq!(in_time(&app).await.value("colloquy_log_up", &[]), 1.0);
        let rename = async |from: &str, to: &str| {
            let sql = format!("alter table {from} rename to {to}");
            on_write!(app.stage.log.db(), pool => sqlx::query(&sql).execute(pool).await.map(|_| ())).unwrap();
        };
        rename("events", "elsewhere").await;
        knows_nothing_of_the_log(&in_time(&app).await);
        rename("elsewhere", "events").await;
        assert_eq!(in_time(&app).await.value("colloquy_log_up", &[]), 1.0);
    }
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_down() {
    let app = <TestApp as tests::stage::Play>::on(Stage::postgres_nats().await).await;
    app.user("ann").await.say("hello", None).await;
    app.settle().await;
    let mut other = sqlx::PgConnection::connect(app.stage.url().unwrap()).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("lock table events in access exclusive mode").execute(&mut *held).await.unwrap();
    knows_nothing_of_the_log(&in_time(&app).await);
    held.rollback().await.unwrap();
    app.until(async || page(&app).await.value("colloquy_log_up", &[]) > 0.0).await;
}

#[tokio::test]
async fn without_nats_nobody_knows_how_far_the_relay_is() {
    let mut app = <TestApp as tests::stage::Play>::on(Stage::postgres_nats().await).await;
    app.user("ann").await.say("hello", None).await;
    assert!(in_time(&app).await.get("colloquy_relay_position", &[]).is_some());
    app.stage.nats.as_mut().unwrap().kill().await;
    app.until(async || page(&app).await.value("colloquy_bus_up", &[]) < 1.0).await;
    let page = in_time(&app).await;
    assert_eq!(page.get("colloquy_relay_position", &[]), None);
    assert_eq!(page.value("colloquy_log_up", &[]), 1.0);
}
