//! A budget is one, whichever node reserves from it, and whichever of them dies.

use futures::future::join_all;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tests::fake_provider::{Script, Step};
use tests::{FakeProvider, Since};

use crate::nodes::{Nodes, start};

/// Fifteen tokens, when it is let go.
fn gated() -> Script {
    let usage = Step::Usage { prompt: 10, completion: 5 };
    Script::of(vec![Step::Text("words".to_owned()), Step::Gate, usage, Step::Finish("stop")])
}

async fn post(nodes: &Nodes, url: &str) -> Response {
    let body = json!({"message": "hello", "max_tokens": 50});
    let request = Client::new().post(format!("{url}/api/v1/chat/background")).bearer_auth(nodes.ann.token());
    request.json(&body).send().await.unwrap()
}

/// Spent and reserved, as a node has it.
async fn standing(nodes: &Nodes, url: &str) -> [Value; 2] {
    let request = Client::new().get(format!("{url}/api/v1/usage")).bearer_auth(nodes.ann.token());
    let usage: Value = request.send().await.unwrap().json().await.unwrap();
    ["spent", "reserved"].map(|what| usage["budgets"][0][what].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_reserves_no_other_spends_though_it_dies() {
    let fake = FakeProvider::start().await;
    fake.always("one", gated());
    let address = fake.openai_url();
    let settings = [
        ("AI_SERVICES__FAKE_BASE_URL", address.as_str()),
        ("COLLOQUY_MODEL", "fake/one"),
        ("BUDGET_USER_TOKENS", "100/day"),
    ];
    let mut nodes = start(&settings).await;
    let urls = nodes.urls();
    let asked = join_all((0..30).map(|number| post(&nodes, &urls[number % urls.len()]))).await;
    let (admitted, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|answer| answer.status() == 200);
    assert_eq!((admitted.len(), others.iter().all(|answer| answer.status() == 429)), (1, true));
    for url in &urls {
        assert_eq!(standing(&nodes, url).await, [json!(0), json!(52)], "hello is two, and the answer fifty at most");
    }
    let (first, last) = (&urls[0], &urls[2]);
    let task: Value = admitted.into_iter().next().unwrap().json().await.unwrap();
    let mut reply = nodes.ann.resume(first, task["task_id"].as_str().unwrap(), Since::Query(0)).await;
    while reply.said().await.unwrap().name != "delta" {}
    // It may be the one that makes the reply: then that ends with what was said.
    nodes.others[0].kill().await;
    assert_eq!(post(&nodes, last).await.status(), 429);
    fake.release();
    reply.rest().await;
    let [spent, reserved] = standing(&nodes, first).await;
    assert_eq!((reserved, spent == 0), (json!(0), false));
    assert_eq!(standing(&nodes, last).await, [spent, json!(0)]);
    assert_eq!(post(&nodes, last).await.status(), 200);
    fake.until_asked(2).await;
    fake.release();
}
