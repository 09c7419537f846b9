//! A Postgres on which pgvector is missing: everything but semantic search works, and that works when it has come.

use projections::Embeddings;
use projector::rebuild;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tests::stage::Play;
use tests::{Persona, Stage, TestApp};

use crate::cast::{count, dump};

async fn search(who: &Persona<'_>, body: Value) -> (u16, Value) {
    let answer = who.request(Method::POST, "/api/v1/search").json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn without_the_extension_vectors_are_kept_and_only_semantic_search_is_missing() {
    let app = TestApp::on(Stage::tenant().await).await;
    let ann = app.user("ann").await;
    let said = ann.say("espresso takes nine bars", None).await;
    let path = format!("/api/v1/messages/{}/embedding", said["user_message_id"].as_str().unwrap());
    let own = json!({"model": "mine", "vector": [0.5, 1.0]});
    assert_eq!(ann.request(Method::PUT, &path).json(&own).send().await.unwrap().status(), 200);
    app.settle().await;
    let live = &app.read_models.embeddings;
    assert_eq!(count(live, "vectors").await, 3, "two of the built-in model, and one of one's own");
    for mode in ["semantic", "hybrid"] {
        let (status, problem) = search(&ann, json!({"query": "espresso", "mode": mode})).await;
        assert_eq!((status, &problem["code"]), (501, &json!("vector_extension_missing")), "{mode}");
        assert!(problem["detail"].as_str().unwrap().contains("pgvector"));
    }
    assert_eq!(search(&ann, json!({"query": "espresso"})).await.1["results"].as_array().unwrap().len(), 2);

    let before = dump(live.db()).await;
    rebuild::<Embeddings>(&app.stage.log, live, |_, _| {}).await.unwrap();
    assert_eq!(dump(live.db()).await, before);

    // Whoever runs the server installs it.
    let url = app.stage.url().unwrap();
    let (_, rest) = url.split_once('@').unwrap();
    let mut admin = PgConnection::connect(&format!("postgres://postgres@{rest}")).await.unwrap();
    admin.execute("create schema elsewhere; create extension vector with schema elsewhere").await.unwrap();
    admin.execute("grant usage on schema elsewhere to public").await.unwrap();
    assert_eq!(search(&ann, json!({"query": "espresso", "mode": "semantic"})).await.0, 501, "the rows are not its yet");
    rebuild::<Embeddings>(&app.stage.log, live, |_, _| {}).await.unwrap();
    let (status, found) = search(&ann, json!({"query": "espresso", "mode": "semantic"})).await;
    assert_eq!((status, found["results"].as_array().unwrap().len()), (200, 2));
    let (_, found) = search(&ann, json!({"mode": "semantic", "model": "mine", "vector": [0.5, 1.0]})).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    ann.say("and a cortado takes milk", None).await;
    let (_, found) = search(&ann, json!({"query": "cortado", "mode": "semantic", "role": "user"})).await;
    assert_eq!(found["results"][0]["snippet"], "and a <mark>cortado</mark> takes milk", "life goes on");
}
