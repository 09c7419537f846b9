//! Whatever is asked, the answer is one that the document tells of.

use reqwest::Method;
use serde_json::Value;
use tests::fake_provider::Script;
use tests::stage::Play;
use tests::{FakeProvider, Service, Stage, on_both_engines, schemathesis};

use super::cast::Cast;

/// A node, and the provider whose models it asks.
struct House {
    service: Service,
    _fake: FakeProvider,
}

impl Play for House {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        fake.always("broken", Script::cut_after(&["half"]));
        let address = fake.openai_url();
        let settings = [("AI_SERVICES__FAKE_BASE_URL", address.as_str()), ("COLLOQUY_MODEL", "fake/one")];
        Self { service: Service::start(stage, &settings).await, _fake: fake }
    }
}

/// The document's operations: method, path, and what is told of them.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, all)| {
        all.as_object().unwrap().iter().map(move |(method, it)| (method.as_str(), path.as_str(), it))
    })
}

async fn document(service: &Service) -> Value {
    service.request(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// Nobody here speaks WebSocket: these are asked as something else, and say so.
const SOCKETS: [&str; 2] = ["openSocket", "s1Socket"];

on_both_engines! {
    async fn every_answer_is_told_of(house: House) {
        let service = &house.service;
        let document = document(service).await;
        let cast = Cast::of(service).await;
        let report = schemathesis::run(&service.node.url(), &document, &cast.config()).await;
        assert!(report.is_clean, "{}", report.text);
        let succeeded = |id: &str| report.statuses.get(id).is_some_and(|all| all.iter().any(|it| (200..300).contains(it)));
        let all = operations(&document).map(|(_, _, it)| it["operationId"].as_str().unwrap());
        let never: Vec<_> = all.filter(|id| !succeeded(id)).collect();
        assert_eq!(never, SOCKETS, "these were never seen to succeed: {:#?}", report.statuses);
        assert!(SOCKETS.iter().all(|id| report.statuses[*id].contains(&426)), "{:#?}", report.statuses);
    }
}

#[tokio::test]
async fn what_is_no_text_names_nothing() {
    let house = House::on(Stage::sqlite().await).await;
    let (service, document) = (&house.service, document(&house.service).await);
    let named = operations(&document).filter(|(_, path, _)| path.contains('{'));
    let mut tried = 0;
    for (method, path, operation) in named {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "%C3%28" } else { part });
        let asked = service.request(method.to_uppercase().parse().unwrap(), &parts.collect::<Vec<_>>().join("/"));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert!(!operation["responses"]["404"].is_null(), "{method} {path}");
        // Each dialect says it in its own form.
        let told: Value = answer.json().await.unwrap();
        assert!(told.to_string().contains("There is nothing at this path."), "{method} {path}: {told}");
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}
