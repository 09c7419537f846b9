//! NATS dies while replies are made and asked for: they end, once each, and who watches them sees all of it.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tests::sse::{Event, Events, text};
use tests::{Asker, Dice, Since};

use super::cast::{ALL, Cast, gated, is_lost, read, words};
use crate::house::Node;

const REPLIES: usize = 30;
const WORDS: usize = 20;

/// Replies that are asked for at every node, and wait at the gate in the midst of their text. Fields go in order: the nodes
/// before what they stand on.
struct Crowd {
    nodes: [Node; 3],
    cast: Cast,
    dice: Dice,
    ann: Asker,
    asked: usize,
}

struct Asked {
    id: String,
    /// How much of it is said before the gate.
    before: usize,
    whole: String,
}

/// One that somebody watches, at another node than it was asked for at.
struct Watched {
    of: Asked,
    events: Events,
    seen: Vec<Event>,
}

impl Crowd {
    async fn gather() -> Self {
        let (dice, cast) = (Dice::cast(), Cast::postgres_nats().await);
        let nodes: [Node; 3] = tokio::join!(cast.node(ALL), cast.node(ALL), cast.node(ALL)).into();
        let ann = Asker::register(&nodes[0].url(), "ann").await;
        Self { nodes, cast, dice, ann, asked: 0 }
    }

    async fn ask(&mut self) -> Vec<Asked> {
        let mut all = Vec::new();
        for _ in 0..REPLIES {
            let words = words(&mut self.dice, WORDS);
            let (model, (before, after)) = (format!("m{}", self.asked), words.split_at(WORDS / 2));
            self.cast.fake.always(&model, gated(before, after, &mut self.dice));
            let id = self.ann.ask(&self.nodes[self.asked % 3].url(), &model).await;
            all.push(Asked { id, before: before.concat().len(), whole: words.concat() });
            self.asked += 1;
        }
        all
    }

    /// Reads what is said before the gate, or its beginning.
    async fn watch(&self, replies: Vec<Asked>, all: bool) -> Vec<Watched> {
        let watch = async |n: usize, of: Asked| {
            let mut events = self.ann.resume(&self.nodes[(n + 1) % 3].url(), &of.id, Since::Query(0)).await;
            let mut seen = vec![events.said().await.expect("a start")];
            read(&mut events, &mut seen, if all { of.before } else { 1 }).await;
            Watched { of, events, seen }
        };
        join_all(replies.into_iter().enumerate().map(|(n, of)| watch(n, of))).await
    }

    /// Waits for the ends, as the log and everybody who watches have them.
    async fn check(&self, watched: Vec<Watched>, ended: usize) {
        let ended = self.cast.until_ended(ended).await;
        for Watched { of: Asked { id, whole, .. }, events, mut seen } in watched {
            seen.extend(events.rest().await);
            assert_eq!(text(&seen), whole);
            assert_eq!(seen[seen.len() - 1].name, "message.completed");
            assert_eq!(ended[&id].said.text, whole);
        }
        assert!(!ended.values().any(|it| is_lost(it.ending)), "no node was lost");
    }

    async fn is_missed(&self) {
        for node in &self.nodes {
            node.until_ready_is("NATS is missed", |status, body| {
                status == StatusCode::OK && body["degraded"] == json!(["nats"])
            })
            .await;
        }
    }

    async fn end(mut self) {
        assert_eq!(self.cast.all_ended().await.len(), self.asked);
        assert_eq!(self.cast.fake.asked().len(), self.asked, "a provider was asked twice");
        for node in &mut self.nodes {
            node.has_found_no_fault_of_its_own();
        }
    }
}

/// Waits until nothing was said for fifteen seconds.
async fn is_silent(watched: &mut [Watched]) {
    for Watched { events, .. } in watched {
        let event = events.next().await.expect("a stream that goes on");
        assert_eq!(event.name, "heartbeat", "{event:?}");
    }
}

#[tokio::test]
async fn replies_end_though_nats_dies_among_them() {
    let mut crowd = Crowd::gather().await;
    for is_wiped in [false, true] {
        let first = crowd.ask().await;
        let first = crowd.watch(first, false).await;
        crowd.cast.house.nats().kill().await;
        crowd.is_missed().await;
        // Nobody can be told of these.
        let second = crowd.ask().await;
        crowd.cast.fake.release();
        crowd.check(first, crowd.asked - REPLIES).await;
        if is_wiped {
            crowd.cast.house.nats().wipe();
        }
        crowd.cast.house.nats().restart().await;
        let second = crowd.watch(second, false).await;
        crowd.cast.fake.release();
        crowd.check(second, crowd.asked).await;
    }
    crowd.end().await;
}

/// Whoever makes a reply can't say so for longer than NATS takes its word for it.
#[tokio::test]
async fn replies_are_made_once_though_nats_is_away_for_long() {
    let mut crowd = Crowd::gather().await;
    let watched = crowd.ask().await;
    let mut watched = crowd.watch(watched, true).await;
    crowd.cast.house.nats().kill().await;
    is_silent(&mut watched).await;
    crowd.cast.house.nats().restart().await;
    for node in &crowd.nodes {
        node.well().await;
    }
    // And once more, so that whatever NATS thinks to be dropped has come to somebody else.
    is_silent(&mut watched).await;
    crowd.cast.fake.release();
    crowd.check(watched, crowd.asked).await;
    crowd.end().await;
}
