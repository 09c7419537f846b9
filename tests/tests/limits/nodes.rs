//! Three nodes, and many who come at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tests::{Asker, Colloquy, Service, Stage};

const NODES: usize = 3;

/// On one database and one bus, and somebody who is signed in at all of them.
pub struct Nodes {
    service: Service,
    pub others: [Colloquy; NODES - 1],
    pub ann: Asker,
}

pub async fn start(settings: &[(&str, &str)]) -> Nodes {
    let service = Service::start(Stage::postgres_nats().await, settings).await;
    let others = [service.binary.start().await, service.binary.start().await];
    Nodes::of(service, others).await
}

/// One of which is right, one ahead, and one behind.
async fn start_with_other_clocks(settings: &[(&str, &str)]) -> Nodes {
    let service = Service::start(Stage::postgres_nats().await, settings).await;
    let [ahead, behind] = [4, -4].map(|seconds| service.binary.clone().clock_ahead(seconds));
    let others = [ahead.start().await, behind.start().await];
    Nodes::of(service, others).await
}

impl Nodes {
    async fn of(service: Service, others: [Colloquy; NODES - 1]) -> Self {
        let ann = Asker::register(&service.node.url(), "ann").await;
        Self { service, others, ann }
    }

    /// How often the audit log says that a limit was reached.
    async fn reached(&self) -> usize {
        self.service.settle().await;
        let path = "/api/v1/audit/tokens?kind=limit_reached";
        let audit = self.service.request(Method::GET, path).bearer_auth(self.ann.token()).send().await.unwrap();
        audit.json::<Value>().await.unwrap()["items"].as_array().unwrap().len()
    }

    pub fn urls(&self) -> Vec<String> {
        let others = self.others.iter().map(Colloquy::url);
        [self.service.node.url()].into_iter().chain(others).collect()
    }
}

struct Answer {
    sent: Instant,
    came: Instant,
    status: StatusCode,
}

async fn ask(client: &Client, url: &str, token: &str) -> Answer {
    let sent = Instant::now();
    let request = client.post(format!("{url}/api/v1/chat")).bearer_auth(token);
    let answer = request.json(&json!({"message": "hello"})).send().await.unwrap();
    Answer { sent, came: Instant::now(), status: answer.status() }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_of_a_thousand_pass_whichever_node_they_come_to() {
    let mut nodes = start(&[("RATE_LIMIT_USER", "10/day")]).await;
    let (client, urls, token) = (Client::new(), nodes.urls(), nodes.ann.token());
    let connections = (0..64).map(|number| {
        let (client, urls) = (&client, &urls);
        async move {
            let mut passed = 0;
            for turn in 0..16 {
                passed +=
                    usize::from(ask(client, &urls[(number + turn) % NODES], token).await.status == StatusCode::OK);
            }
            passed
        }
    });
    assert_eq!(join_all(connections).await.iter().sum::<usize>(), 10);
    let status = client.get(format!("{}/api/v1/chat/rate-limit", urls[0])).bearer_auth(token).send().await.unwrap();
    assert_eq!(status.json::<Value>().await.unwrap()["user"]["current"], 10);
    assert_eq!(nodes.reached().await, 1, "each of them refused, and one of them noted it");
    // Nor does one of them that dies, and comes again, take the window along.
    let [killed, _] = &mut nodes.others;
    killed.kill().await;
    assert_eq!(ask(&client, &urls[0], token).await.status, StatusCode::TOO_MANY_REQUESTS);
    *killed = nodes.service.binary.start().await;
    assert_eq!(ask(&client, &killed.url(), token).await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// What a node took in advance and did not hand out is nobody's: three times a fiftieth at most.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_window_nodes_together_hand_out_no_more_than_there_is() {
    const MOST: usize = 1_200;
    let nodes = start(&[("RATE_LIMIT_IP", "1200/hour")]).await;
    let (client, urls, token) = (Client::new(), nodes.urls(), nodes.ann.token());
    let connections = (0..64).map(|number| {
        let (client, urls) = (&client, &urls);
        async move {
            let mut passed = 0;
            for turn in 0..24 {
                let url = format!("{}/api/v1/models", urls[(number + turn) % NODES]);
                let answer = client.get(url).bearer_auth(token).send().await.unwrap();
                passed += usize::from(answer.status() == StatusCode::OK);
            }
            passed
        }
    });
    let passed = join_all(connections).await.iter().sum::<usize>();
    assert!((MOST * 94 / 100..=MOST).contains(&passed), "{passed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_the_window_slides_never_more_and_never_a_refusal_while_there_were_fewer() {
    slide(&start(&[("RATE_LIMIT_USER", "10/second")]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_the_clocks_of_nodes_differ() {
    slide(&start_with_other_clocks(&[("RATE_LIMIT_USER", "10/second")]).await).await;
}

/// What was admitted when is known only as between when it was sent and when its answer came: so a fault is one wherever in
/// between it was.
async fn slide(nodes: &Nodes) {
    const MOST: usize = 10;
    const WINDOW: Duration = Duration::from_secs(1);
    let (client, urls, token) = (Client::new(), nodes.urls(), nodes.ann.token());
    // Each has decided something before they are pressed.
    let mut answers = Vec::new();
    for url in &urls {
        answers.push(ask(&client, url, token).await);
    }
    let begun = Instant::now();
    let connections = (0..12).map(|number| {
        let (client, urls) = (&client, &urls);
        async move {
            let mut answers = Vec::new();
            while begun.elapsed() < WINDOW * 6 {
                answers.push(ask(client, &urls[number % NODES], token).await);
            }
            answers
        }
    });
    answers.extend(join_all(connections).await.into_iter().flatten());
    let mut admitted: Vec<&Answer> = answers.iter().filter(|it| it.status == StatusCode::OK).collect();
    assert!(answers.iter().all(|it| [200, 429].contains(&it.status.as_u16())));
    assert!(admitted.len() >= MOST * 5, "{} in six seconds", admitted.len());
    assert!(answers.len() > admitted.len() * 2, "nobody pressed");
    admitted.sort_by_key(|it| it.came);
    for (place, one) in admitted.iter().enumerate() {
        let surely_within = admitted.iter().skip(place).filter(|it| it.sent >= one.sent && it.came < one.sent + WINDOW);
        assert!(surely_within.count() <= MOST);
    }
    for refused in answers.iter().filter(|it| it.status == StatusCode::TOO_MANY_REQUESTS) {
        let may_count = admitted.iter().filter(|it| it.came + WINDOW > refused.sent && it.sent < refused.came);
        assert!(may_count.count() >= MOST, "refused while there were fewer");
    }
}
