//! NATS dies, loses everything, and stays away: it is the fast way and never the truth.

use async_nats::jetstream;
use reqwest::StatusCode;
use serde_json::json;
use tests::{Dice, Load};

use crate::house::{House, Node, USERS, eventually};

#[tokio::test]
async fn nats_is_killed_wiped_and_away() {
    let mut dice = Dice::cast();
    let mut house = House::postgres_nats().await;
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    load.more(200).await;
    carries_all(&mut house, &node).await;

    house.nats().kill().await;
    house.nats().wipe();
    house.nats().restart().await;
    load.more(200).await;
    carries_all(&mut house, &node).await;

    for lost in [false, true] {
        house.nats().kill().await;
        goes_on_without(&mut load, &node).await;
        if lost {
            house.nats().wipe();
        }
        house.nats().restart().await;
        node.well().await;
        load.more(100).await;
        carries_all(&mut house, &node).await;
    }
    assert_eq!((load.tally().refused, load.tally().broken), (0, 0), "posts need no NATS");
    assert!(node.process().child().is_running());
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
    carries_all(&mut house, &node).await;
}

/// With NATS away posts go on, `/ready` says so, and who reads what they wrote finds it: the log is there.
async fn goes_on_without(load: &mut Load, node: &Node) {
    let away = |status, body: &serde_json::Value| status == StatusCode::OK && body["degraded"] == json!(["nats"]);
    node.until_ready_is("NATS is missed", away).await;
    let before = load.tally();
    load.more(200).await;
    load.until("histories without NATS", |tally| tally.whole >= before.whole + 10).await;
    let (status, body) = node.ready().await;
    assert!(away(status, &body), "{status} {body}");
}

/// Waits until the stream has the log as far as it is now, each event under its own position.
async fn carries_all(house: &mut House, node: &Node) {
    let head = node.ready().await.1["head"].as_u64().expect("the log's head");
    let client = async_nats::connect(house.nats().url()).await.expect("NATS is up");
    let bus = jetstream::new(client);
    let last = eventually("the stream with the log's head", async || {
        let stream = bus.get_stream("COLLOQUY_EVENTS").await.ok()?;
        let last = stream.cached_info().state.last_sequence;
        let message = stream.get_raw_message(last).await.ok()?;
        (last >= head).then_some(message)
    })
    .await;
    let position = last.headers.get("Nats-Msg-Id").map(ToString::to_string);
    assert_eq!(position, Some(last.sequence.to_string()), "the stream counts otherwise than the log");
}
