//! Clients die in the midst of a reply and come back at another node: they get exactly the rest.

use futures::future::join_all;
use serde_json::json;
use tests::fake_provider::Script;
use tests::sse::{Event, text};
use tests::{Asker, Dice, Since};
use tokio::sync::Barrier;

use super::cast::{ALL, Cast, USAGE, gated, read, words};
use crate::house::{Node, eventually};

const ROUNDS: usize = 3;
const AT_ONCE: usize = 60;
const WORDS: usize = 40;
/// After so many of them the provider waits until everybody has been cut off.
const GATE: usize = 30;

/// What is to happen to one client.
struct Plan {
    model: String,
    text: String,
    /// After how many bytes it dies: once or twice while the provider speaks.
    cuts: Vec<usize>,
    /// At which node it is, each time that it comes.
    visits: Vec<usize>,
    by_header: Vec<bool>,
    /// Whether it comes back for the rest before the reply has ended.
    is_early: bool,
}

impl Plan {
    fn cast(dice: &mut Dice, round: usize, number: usize) -> (Self, Script) {
        let words = words(dice, WORDS);
        let (before, after) = words.split_at(GATE);
        let mut cuts: Vec<_> = (0..=dice.below(2)).map(|_| words[..dice.between(0, GATE)].concat().len()).collect();
        cuts.sort_unstable();
        let mut visits = vec![dice.below(3)];
        for _ in &cuts {
            // Never where it was last.
            visits.push((visits[visits.len() - 1] + dice.between(1, 2)) % 3);
        }
        let by_header = visits.iter().map(|_| dice.below(2) == 0).collect();
        let (model, text, is_early) = (format!("m{round}-{number}"), words.concat(), dice.below(2) == 0);
        (Self { model, text, cuts, visits, by_header, is_early }, gated(before, after, dice))
    }
}

/// What a client has seen, over all its connections.
struct Seen {
    events: Vec<Event>,
    /// The text that it had when it died for the last time.
    at_the_cut: usize,
}

/// Lives through a plan. `gate` is passed once by each client when it was cut off, and once when the provider may go on.
async fn live(plan: &Plan, ann: &Asker, nodes: &[String], gate: &Barrier) -> Seen {
    let mut stream = ann.stream(&nodes[plan.visits[0]], &plan.model).await;
    let mut events = vec![stream.said().await.expect("a start")];
    let reply = events[0].data["id"].as_str().expect("an id").to_owned();
    let since = |events: &[Event], visit: usize| {
        let last = events[events.len() - 1].id;
        if plan.by_header[visit] { Since::Header(last) } else { Since::Query(last) }
    };
    for (visit, cut) in plan.cuts.iter().enumerate() {
        if visit > 0 {
            stream = ann.resume(&nodes[plan.visits[visit]], &reply, since(&events, visit)).await;
        }
        read(&mut stream, &mut events, *cut).await;
    }
    drop(stream);
    let (last, at_the_cut) = (plan.cuts.len(), text(&events).len());
    let node = &nodes[plan.visits[last]];
    let rest = if plan.is_early {
        let rest = ann.resume(node, &reply, since(&events, last)).await;
        gate.wait().await;
        rest
    } else {
        gate.wait().await;
        eventually("a reply that goes on without its client", async || {
            (ann.message(node, &reply).await["status"] == "done").then_some(())
        })
        .await;
        ann.resume(node, &reply, since(&events, last)).await
    };
    events.extend(rest.rest().await);
    Seen { events, at_the_cut }
}

fn check(plan: &Plan, seen: &Seen) {
    let Seen { events, .. } = seen;
    assert_eq!(text(events), plan.text, "{} after {:?}", plan.model, plan.cuts);
    assert!(events.is_sorted_by(|one, next| one.id < next.id), "{events:?}");
    let (last, before) = events.split_last().expect("an end");
    assert!(before[1..].iter().all(|event| event.name == "delta"), "{events:?}");
    assert_eq!((last.name.as_str(), last.id), ("message.completed", plan.text.len() + 2));
    let (prompt, completion) = USAGE;
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    assert_eq!(last.data["usage"], usage);
}

#[tokio::test]
async fn who_is_killed_and_comes_back_elsewhere_gets_exactly_the_rest() {
    let mut dice = Dice::cast();
    let cast = Cast::postgres_nats().await;
    let nodes = tokio::join!(cast.node(ALL), cast.node(ALL), cast.node(ALL));
    let nodes: [Node; 3] = nodes.into();
    let urls: Vec<_> = nodes.iter().map(Node::url).collect();
    let ann = Asker::register(&urls[0], "ann").await;
    let mut midway = 0;
    for round in 0..ROUNDS {
        let mut plans = Vec::new();
        for number in 0..AT_ONCE {
            let (plan, script) = Plan::cast(&mut dice, round, number);
            cast.fake.always(&plan.model, script);
            plans.push(plan);
        }
        let gate = Barrier::new(AT_ONCE + 1);
        let lives = join_all(plans.iter().map(|plan| live(plan, &ann, &urls, &gate)));
        let release = async {
            gate.wait().await;
            cast.fake.until_asked((round + 1) * AT_ONCE).await;
            cast.fake.release();
        };
        let (seen, ()) = tokio::join!(lives, release);
        for (plan, seen) in plans.iter().zip(&seen) {
            check(plan, seen);
            midway += usize::from(seen.at_the_cut > 0);
        }
    }
    assert!(midway > ROUNDS * AT_ONCE / 2, "only {midway} were cut off in the midst of the text");
    assert_eq!(cast.fake.asked().len(), ROUNDS * AT_ONCE, "a provider was asked twice");
    assert_eq!(cast.all_ended().await.len(), ROUNDS * AT_ONCE);
    for mut node in nodes {
        node.has_found_no_fault_of_its_own();
    }
}
