//! From the request to the first word: through a node, against straight from the provider, in turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::fake_provider::Script;
use tokio::task::JoinSet;

use super::client::{Client, Prompt, Said};
use super::{House, Provider};
use crate::load;
use crate::report::{Limit, Report, Row, median, millis, number, percentile};
use crate::site::Engine;

const PAIRS: usize = 400;
const ROUNDS: usize = 5;
/// Conversations are as long as people's are, and not longer in each round.
const TURNS: usize = 10;
const MODEL: &str = "quick";

pub async fn measure(report: &mut Report) {
    let provider = Provider::start().await;
    provider.fake.always(MODEL, Script::says(&["Good ", "morning, ", "what ", "a nice ", "day."]));
    for engine in Engine::BOTH {
        let house = House::start(engine, &provider).await;
        for at_once in [1, 16] {
            let mut askers = Vec::new();
            for number in 0..at_once {
                let user = house.sign_up(&format!("user{number}of{at_once}")).await;
                askers.push(Asker::new(provider.address(), house.address(), user.token).await);
            }
            compare(report, engine, askers).await;
        }
    }
}

/// How long those who asked waited, in pairs.
type Pairs = Vec<(Duration, Duration)>;

async fn compare(report: &mut Report, engine: Engine, mut askers: Vec<Asker>) {
    let at_once = askers.len();
    let mut pairs;
    (askers, _) = load::on_one_thread(move || all(askers)).await;
    let (mut p50, mut p99, mut middle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        (askers, pairs) = load::on_one_thread(move || all(askers)).await;
        let [straight, through] = [|pair: &(_, _)| pair.0, |pair: &(_, _)| pair.1].map(|side| {
            let mut times: Vec<_> = pairs.iter().map(side).collect();
            times.sort();
            times
        });
        let added = |percent| percentile(&through, percent) - percentile(&straight, percent);
        p50.push(added(50));
        p99.push(added(99));
        let differences: Vec<_> =
            pairs.iter().map(|(straight, through)| millis(*through) - millis(*straight)).collect();
        middle.push(median(&differences));
    }
    let name = format!("{at_once} at once, {}", engine.name());
    report.rounds(&format!("added to the first token in ms, p50, {name}"), &p50);
    report.rounds(&format!("added to the first token in ms, p99, {name}"), &p99);
    let [p50, middle] = [p50, middle].map(|rounds| number(median(&rounds)));
    report.row(Row {
        measure: format!("p99 of the first token of a reply, {name}, more than straight from the provider"),
        value: median(&p99),
        unit: " ms",
        of: format!("(p50 {p50} ms, median of the differences {middle} ms)"),
        bound: None,
        aim: Some(Limit::AtMost(match engine {
            Engine::Sqlite => 5.0,
            Engine::PostgresNats => 15.0,
        })),
    });
}

async fn all(askers: Vec<Asker>) -> (Vec<Asker>, Pairs) {
    let each = PAIRS / askers.len();
    let asking: JoinSet<_> = askers.into_iter().map(|asker| asker.pairs(each)).collect();
    let (askers, pairs): (_, Vec<_>) = asking.join_all().await.into_iter().unzip();
    (askers, pairs.concat())
}

/// Somebody who asks the same of both, one after the other.
struct Asker {
    provider: Client,
    node: Client,
    token: String,
    turns: usize,
    conversation: Option<String>,
}

impl Asker {
    async fn new(provider: SocketAddr, node: SocketAddr, token: String) -> Self {
        let (provider, node) = (Client::open(provider).await, Client::open(node).await);
        Self { provider, node, token, turns: 0, conversation: None }
    }

    async fn pairs(mut self, pairs: usize) -> (Self, Pairs) {
        let mut times = Vec::with_capacity(pairs);
        for _ in 0..pairs {
            let (straight, _) = first_token(&mut self.provider, &Prompt::straight(MODEL)).await;
            let conversation = self.conversation.take().filter(|_| !self.turns.is_multiple_of(TURNS));
            let prompt = Prompt::through(&self.token, &format!("mine/{MODEL}"), conversation.as_deref());
            let (through, conversation) = first_token(&mut self.node, &prompt).await;
            self.turns += 1;
            self.conversation = conversation;
            times.push((straight, through));
        }
        (self, times)
    }
}

/// How long it took, and the conversation where there is one. Listens to the end.
async fn first_token(client: &mut Client, prompt: &Prompt) -> (Duration, Option<String>) {
    let (asked, mut took, mut conversation, mut finished) = (Instant::now(), None, None, false);
    client.ask(prompt).await;
    while let Some(said) = client.next().await {
        match said {
            Said::Begun(id) => conversation = Some(id),
            Said::Text(_) => took = took.or_else(|| Some(asked.elapsed())),
            Said::Finished => finished = true,
            Said::Nothing => {}
        }
    }
    assert!(finished, "a reply has broken off");
    (took.expect("a word"), conversation)
}
