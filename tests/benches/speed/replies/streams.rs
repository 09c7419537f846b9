//! Thousands of replies at once on one node: how much later each word comes than straight from the provider, and what a
//! stream takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tests::fake_provider::{Script, Step, micros};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Client, Prompt, Said};
use super::proc::{Cores, Taken, kilobytes, open_files};
use super::{House, Provider};
use crate::load;
use crate::report::{Report, Row, median, number, percentile};
use crate::site::Engine;

const USERS: usize = 50;
/// How many conversations each of them has at once.
const EACH: usize = 40;
const STREAMS: usize = USERS * EACH;
const DELTAS: usize = 100;
const EVERY: Duration = Duration::from_millis(100);
/// They begin at so many different moments of that time.
const PHASES: usize = 50;
/// All streams are open, and none is about to end.
const WINDOW: Duration = Duration::from_millis(9_500);
/// So few are opened at once that nobody waits for a place in the node's backlog.
const OPENED_AT_ONCE: usize = 32;
const ROUNDS: usize = 3;
const REST: Duration = Duration::from_secs(2);

pub async fn measure(report: &mut Report) {
    let provider = Provider::start().await;
    for phase in 0..PHASES {
        provider.fake.always(&model(phase), script(phase));
    }
    for engine in Engine::BOTH {
        let mut house = House::start(engine, &provider).await;
        let mut prompts = Vec::with_capacity(STREAMS);
        for number in 0..USERS {
            let token = house.sign_up(&format!("user{number}")).await.token;
            let models = (0..EACH).map(|stream| format!("mine/{}", model(number * EACH + stream)));
            prompts.extend(models.map(|model| Prompt::through(&token, &model, None)));
        }
        let node = Node { address: house.address(), process: house.process() };
        compare(report, engine, &provider, &node, prompts).await;
    }
}

fn model(stream: usize) -> String {
    format!("phase{}", stream % PHASES)
}

/// A word when it begins, then none until all have begun, then one that says when it was written after the other.
fn script(phase: usize) -> Script {
    let mut script = Script::clocked(DELTAS, EVERY);
    let (phase, phases) = (u32::try_from(phase).expect("few"), u32::try_from(PHASES).expect("few"));
    script.steps.splice(0..0, [Step::Text("begun ".to_owned()), Step::Gate, Step::Wait(EVERY * phase / phases)]);
    script
}

struct Node {
    address: SocketAddr,
    process: u32,
}

/// What a round came to.
struct Round {
    p50: f64,
    p99: f64,
    cores: Cores,
    /// Of the node, while all streams were open.
    kilobytes: f64,
    files: usize,
}

async fn compare(report: &mut Report, engine: Engine, provider: &Provider, node: &Node, prompts: Vec<Prompt>) {
    let before = kilobytes(node.process);
    let straight: Vec<_> = (0..STREAMS).map(|stream| Prompt::straight(&model(stream))).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(round(provider, node, provider.address(), straight.clone()).await);
        ours.push(round(provider, node, node.address, prompts.clone()).await);
    }
    let of = |rounds: &[Round], what: fn(&Round) -> f64| rounds.iter().map(what).collect::<Vec<_>>();
    let (p50, p99) = (of(&ours, |round| round.p50), of(&ours, |round| round.p99));
    let (p50_straight, p99_straight) = (of(&theirs, |round| round.p50), of(&theirs, |round| round.p99));
    let (node_cores, all_cores) = (of(&ours, |round| round.cores.process), of(&ours, |round| round.cores.machine));
    let name = engine.name();
    report.rounds(&format!("p99 of a delta's way in ms, {name}"), &p99);
    report.rounds("p99 of a delta's way in ms, straight", &p99_straight);
    report.rounds(&format!("cores that the node took, {name}"), &node_cores);
    report.rounds(&format!("cores that all took together, {name}"), &all_cores);
    report.rounds("cores that all took together, straight", &of(&theirs, |round| round.cores.machine));
    let more: Vec<_> = p99.iter().zip(&p99_straight).map(|(ours, theirs)| ours - theirs).collect();
    let [p50, p50_straight, p99, p99_straight, node_cores, all_cores] =
        [p50, p50_straight, p99, p99_straight, node_cores, all_cores].map(|rounds| number(median(&rounds)));
    let whose = format!("{STREAMS} streams of 10 deltas/s ({USERS} users with {EACH} each), {name}");
    report.row(Row {
        measure: format!("p99 of a delta's way, {whose}, more than straight from the provider"),
        value: median(&more),
        unit: " ms",
        of: format!(
            "(p50 {p50} against {p50_straight} ms, p99 {p99} against {p99_straight} ms; \
             the node took {node_cores} cores, all together {all_cores})"
        ),
        bound: None,
        aim: None,
    });
    // Later rounds use again what the first one took.
    let first = ours.first().expect("a round");
    report.row(memory(&whose, before, first));
}

fn memory(whose: &str, before: f64, first: &Round) -> Row {
    let streams = f64::from(u32::try_from(STREAMS).expect("few"));
    let [megabytes_before, megabytes] = [before, first.kilobytes].map(|kilobytes| number(kilobytes / 1e3));
    let files = first.files;
    Row {
        measure: format!("memory of a stream, {whose}"),
        value: (first.kilobytes - before) / streams,
        unit: " kB",
        of: format!("(the node: {megabytes_before} MB before, {megabytes} MB with them, {files} files open)"),
        bound: None,
        aim: None,
    }
}

async fn round(provider: &Provider, node: &Node, address: SocketAddr, prompts: Vec<Prompt>) -> Round {
    sleep(REST).await;
    let (begun, mut all_begun) = unbounded_channel();
    let listening = tokio::spawn(load::on_one_thread(move || all(address, prompts, begun)));
    for _ in 0..STREAMS {
        all_begun.recv().await.expect("a stream that begins");
    }
    provider.fake.release();
    let before = Taken::by(node.process);
    sleep(WINDOW).await;
    let cores = Taken::by(node.process).since(&before);
    let (kilobytes, files) = (kilobytes(node.process), open_files(node.process));
    let mut times = listening.await.expect("clients that end");
    times.sort();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    Round { p50, p99, cores, kilobytes, files }
}

/// How long each delta of each stream was under way.
async fn all(address: SocketAddr, prompts: Vec<Prompt>, begun: UnboundedSender<()>) -> Vec<Duration> {
    let places = Arc::new(Semaphore::new(OPENED_AT_ONCE));
    let listening: JoinSet<_> =
        prompts.into_iter().map(|prompt| listen(address, prompt, Arc::clone(&places), begun.clone())).collect();
    drop(begun);
    listening.join_all().await.concat()
}

async fn listen(
    address: SocketAddr,
    prompt: Prompt,
    places: Arc<Semaphore>,
    begun: UnboundedSender<()>,
) -> Vec<Duration> {
    let mut place = Some(places.acquire_owned().await.expect("an open semaphore"));
    let mut client = Client::open(address).await;
    client.ask(&prompt).await;
    let (mut text, mut times, mut finished) = (String::new(), Vec::with_capacity(DELTAS), false);
    while let Some(said) = client.next().await {
        match said {
            Said::Text(new) => {
                let now = micros();
                times.extend(written(&new).map(|written| Duration::from_micros(now.saturating_sub(written))));
                text.push_str(&new);
                if place.take().is_some() {
                    begun.send(()).expect("somebody who waits for it");
                }
            }
            Said::Finished => finished = true,
            Said::Begun(_) | Said::Nothing => {}
        }
    }
    assert!(finished && is_whole(&text), "a stream has lost something: {text}");
    times
}

fn written(text: &str) -> impl Iterator<Item = u64> {
    text.split(' ').filter_map(|word| word.parse().ok())
}

/// Whether all deltas are there, once each and in order.
fn is_whole(text: &str) -> bool {
    let written: Vec<_> = text.strip_prefix("begun ").map(written).into_iter().flatten().collect();
    written.len() == DELTAS && written.is_sorted_by(|one, next| one < next)
}
