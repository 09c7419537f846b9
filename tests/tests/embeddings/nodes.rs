//! Nodes that embed: one at a time, and what a dead one has left the next one does, once.

use std::time::Duration;

use serde_json::json;
use sqlx::query_scalar;
use store::embedders::{self, Progress};
use store::on;
use tests::fake_provider::{Script, Step};
use tests::service::Service;
use tests::stage::{PATIENCE, Stage};
use tests::{Asker, Colloquy, FakeProvider, on_both_engines};
use tokio::time::{interval, timeout};

const KEY: &str = "sk-live-0123456789abcdef";
const LEADS: &str = "this node embeds messages";

async fn service(stage: Stage, fake: &FakeProvider) -> Service {
    let settings = [
        ("AI_SERVICES__FAKE_BASE_URL", fake.openai_url()),
        ("AI_SERVICES__FAKE_API_KEY", KEY.to_owned()),
        ("COLLOQUY_EMBEDDINGS", "fake/embed".to_owned()),
        ("COLLOQUY_LOG", "debug,sqlx=warn,async_nats=warn".to_owned()),
    ];
    Service::start(stage, &settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await
}

/// Asks for so many replies, and gives all that is said then.
async fn talk(ann: &Asker, url: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let mut said = Vec::new();
    for number in numbers {
        ann.ask(url, &format!("m{number}")).await;
        let question = format!("a question for m{number}");
        said.extend([format!("You said: {question}"), question]);
    }
    said
}

async fn until_embedded(stage: &Stage, messages: usize) {
    until_vectors(stage, "fake/embed", messages).await;
}

/// Waits until so many messages have a vector of a model.
async fn until_vectors(stage: &Stage, model: &str, messages: usize) {
    let live = stage.embeddings().await;
    let sql = "select count(*) from vectors where model = $1 and dimension > 0";
    let mut tick = interval(Duration::from_millis(20));
    let come = async {
        loop {
            let count: i64 = on!(live.db(), pool => query_scalar(sql).bind(model).fetch_one(pool).await).unwrap();
            if usize::try_from(count) == Ok(messages) {
                return;
            }
            tick.tick().await;
        }
    };
    assert!(timeout(PATIENCE, come).await.is_ok(), "there are no {messages} vectors");
}

/// Each of these, and none of them twice.
fn assert_once(fake: &FakeProvider, mut said: Vec<String>) {
    let mut embedded = fake.embedded();
    embedded.sort_unstable();
    said.sort_unstable();
    assert_eq!(embedded, said);
}

fn tells_nothing(node: &Colloquy) {
    let logs = node.logs();
    assert!(logs.contains(LEADS), "it is quiet");
    assert!(!logs.contains(KEY), "the key is in the log");
    assert!(!logs.contains("a question for"), "what was said is in the log");
}

on_both_engines! {
    async fn who_is_killed_in_the_midst_of_it_is_followed_by_one_who_goes_on(stage: Stage) {
        let fake = FakeProvider::start().await;
        let mut service = service(stage, &fake).await;
        let ann = Asker::register(&service.node.url(), "ann").await;
        let mut said = talk(&ann, &service.node.url(), 0..10).await;
        until_embedded(&service.stage, 20).await;
        fake.always("embed", Script::of(vec![Step::Gate]));
        said.extend(talk(&ann, &service.node.url(), 10..40).await);
        // All has been said, and the model that embeds is at work.
        until_vectors(&service.stage, "colloquy-hash-256", said.len()).await;
        fake.until_open(1).await;
        service.node.kill().await;
        tells_nothing(&service.node);

        // As if it had died before it could note anything: what has a vector is passed by.
        embedders::note(service.stage.log.db(), "fake/embed", Progress::default()).await.unwrap();
        fake.always("embed", Script::vectors());
        service.node = service.binary.start().await;
        until_embedded(&service.stage, said.len()).await;
        said.extend(talk(&ann, &service.node.url(), 40..42).await);
        until_embedded(&service.stage, said.len()).await;
        assert_once(&fake, said);
        tells_nothing(&service.node);
        let found = service.request(reqwest::Method::POST, "/api/v1/search").bearer_auth(ann.token());
        let found = found.json(&json!({"query": "question m7", "mode": "semantic"})).send().await.unwrap();
        let found: serde_json::Value = found.json().await.unwrap();
        assert_eq!(found["model"], "fake/embed");
        assert!(found["results"][0]["snippet"].as_str().unwrap().contains("<mark>m7</mark>"), "{found}");
    }
}

#[tokio::test]
async fn of_two_nodes_one_embeds_and_the_other_goes_on_when_it_is_gone() {
    let fake = FakeProvider::start().await;
    let mut service = service(Stage::postgres_nats().await, &fake).await;
    let other = service.binary.start().await;
    let urls = [service.node.url(), other.url()];
    let ann = Asker::register(&urls[0], "ann").await;
    let (one, two) = tokio::join!(talk(&ann, &urls[0], 0..30), talk(&ann, &urls[1], 30..60));
    let mut said = [one, two].concat();
    until_embedded(&service.stage, said.len()).await;
    let leaders = [&service.node, &other].map(|node| node.logs().matches(LEADS).count());
    assert_eq!(leaders.iter().sum::<usize>(), 1, "{leaders:?}");

    let (mut leader, left) = if leaders[0] == 1 { (service.node, other) } else { (other, service.node) };
    leader.kill().await;
    said.extend(talk(&ann, &left.url(), 60..80).await);
    until_embedded(&service.stage, said.len()).await;
    assert_once(&fake, said);
    assert_eq!(left.logs().matches(LEADS).count(), 1);
    service.node = left;
    assert!(service.node.terminate().await.success());
}
