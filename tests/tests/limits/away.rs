//! Without the place where windows are kept: nobody signs in, and who is in goes on with a part of what is allowed.

use reqwest::Method;
use serde_json::{Value, json};
use store::{Db, on_write};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

use crate::cast::{code, limited, rate, rates, say, used};

async fn rename(app: &TestApp, from: &str, to: &str) {
    let sql = format!("alter table {from} rename to {to}");
    on_write!(app.limits.db(), pool => sqlx::query(&sql).execute(pool).await.map(|_| ())).unwrap();
}

async fn degraded(app: &TestApp) -> bool {
    let ready = app.request(Method::GET, "/ready").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    ready.json::<Value>().await.unwrap()["degraded"].as_array().unwrap().contains(&json!("limits"))
}

async fn metrics(app: &TestApp) -> String {
    app.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap()
}

on_both_engines! {
    async fn nobody_signs_in_and_who_is_in_goes_on_a_little(stage: Stage) {
        let options =
            Options { rates: rates(["off", "8/minute", "1000/minute"]), sign_in_rate: rate("100/minute"), ..Options::default() };
        let app = TestApp::start(stage, options).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        assert!(!degraded(&app).await && metrics(&app).await.contains("\ncolloquy_limits_local 0\n"));
        rename(&app, "limits", "elsewhere").await;
        let sign_in = async || {
            let body = json!({"email": "ann@example.com", "password": "whatever it is"});
            app.request(Method::POST, "/api/v1/users/login").json(&body).send().await.unwrap()
        };
        assert_eq!(code(sign_in().await, 503).await, "limits_unavailable");
        assert_eq!((say(&ann, 3).await, say(&bob, 3).await), (vec![200, 200, 429], vec![200, 200, 429]));
        assert!(degraded(&app).await && metrics(&app).await.contains("\ncolloquy_limits_local 1\n"));
        app.clock.advance(60);
        assert_eq!(say(&ann, 1).await, [200], "it slides");

        rename(&app, "elsewhere", "limits").await;
        app.until(async || !degraded_after_a_request(&app).await).await;
        assert_eq!(sign_in().await.status(), 401);
        assert_eq!((used(&ann).await.1, used(&bob).await.1), (1, 0), "what this node admitted by itself counts");
        assert_eq!(say(&ann, 8).await, [[200; 7].as_slice(), &[429]].concat());
        assert_eq!(say(&bob, 9).await, [[200; 8].as_slice(), &[429]].concat());
    }
}

async fn degraded_after_a_request(app: &TestApp) -> bool {
    app.request(Method::GET, "/api/v1/models").send().await.unwrap();
    degraded(app).await
}

/// Nobody is sent away, nor admitted by one node alone, because a connection broke that nobody was using.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_broke_is_made_again() {
    let app = limited(Stage::postgres_nats().await, ["off", "8/minute", "off"]).await;
    let ann = app.user("ann").await;
    assert_eq!(say(&ann, 2).await, [200, 200]);
    let Db::Postgres(postgres) = app.limits.db() else { unreachable!("the stage is on Postgres") };
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
                  where datname = current_database() and application_name = 'colloquy limits'";
    let ended: Vec<bool> = sqlx::query_scalar(end).fetch_all(&postgres.pool).await.unwrap();
    assert_eq!(ended, [true], "the decider's");
    assert_eq!((say(&ann, 1).await, degraded(&app).await, used(&ann).await.1), (vec![200], false, 3));
}
