//! The text of a reply while it grows, and the wish that it stop, from one node to every other.

use domain::ids::MessageId;
use nats::Bus;
use tests::stage::PATIENCE;
use tests::{Nats, Stage, on_both_engines};
use tokio::time::timeout;

use crate::{MOMENT, chunk, connect, fresh, heard, tell, until_said};

on_both_engines! {
    async fn a_request_to_stop_is_heard(stage: Stage) {
        let (mut stops, mut too) = (stage.bus.stops().await.unwrap(), stage.bus.stops().await.unwrap());
        let replies = [fresh(), fresh()];
        for reply in replies {
            stage.bus.ask_to_stop(reply).await.unwrap();
        }
        for stops in [&mut stops, &mut too] {
            for reply in replies {
                assert_eq!(timeout(PATIENCE, stops.next()).await.unwrap(), Some(reply));
            }
        }
    }

    async fn of_what_was_never_told_nothing_is_said(stage: Stage) {
        assert_eq!(stage.bus.said(fresh()).await.unwrap(), "");
        let mut hearing = stage.bus.hear(fresh()).await.unwrap();
        assert!(timeout(MOMENT, hearing.next()).await.is_err());
    }
}

#[tokio::test]
async fn in_one_process_nothing_is_heard() {
    let (bus, reply) = (Bus::in_process(), fresh());
    let mut hearing = bus.hear(reply).await.unwrap();
    tell(&bus, reply, 0, "to whom?");
    assert_eq!(bus.said(reply).await.unwrap(), "");
    assert!(timeout(MOMENT, hearing.next()).await.is_err());
}

#[tokio::test]
async fn another_node_hears_a_reply_from_its_start_at_any_time() {
    let nats = Nats::start().await;
    let (maker, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let whole = "Größe, 大きさ, 🦀: ".repeat(200);
    let (first, second) = whole.split_at(whole.floor_char_boundary(whole.len() / 2));

    let (mut early, mut text) = (node.hear(reply).await.unwrap(), String::new());
    tell(&maker, reply, 0, first);
    heard(&mut early, &mut text, first).await;
    let (mut late, mut late_text) = (node.hear(reply).await.unwrap(), String::new());
    heard(&mut late, &mut late_text, first).await;
    tell(&maker, reply, first.len(), second);
    heard(&mut early, &mut text, &whole).await;
    heard(&mut late, &mut late_text, &whole).await;
    until_said(&node, reply, &whole).await;
    assert_eq!(node.said(fresh()).await.unwrap(), "", "each reply has its own text");
}

#[tokio::test]
async fn who_comes_while_a_reply_grows_misses_nothing() {
    let nats = Nats::start().await;
    let (maker, node) = (connect(&nats).await, connect(&nats).await);
    let whole = "word ".repeat(2_000);
    for _ in 0..5 {
        let reply = fresh();
        let telling = tokio::spawn({
            let (maker, whole) = (maker.clone(), whole.clone());
            async move {
                for at in (0..whole.len()).step_by(50) {
                    tell(&maker, reply, at, whole.get(at..at + 50).unwrap());
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut readers: Vec<_> = (0..8).map(|_| tokio::spawn(follow(node.clone(), reply, whole.clone()))).collect();
        telling.await.unwrap();
        // A last word, so that a gap at the end is seen: the log would say it.
        maker.tell(reply, chunk(whole.len() as u64, "."));
        for reader in readers.drain(..) {
            reader.await.unwrap();
        }
    }
}

async fn follow(node: Bus, reply: MessageId, whole: String) {
    let mut hearing = node.hear(reply).await.unwrap();
    heard(&mut hearing, &mut String::new(), &format!("{whole}.")).await;
}

#[tokio::test]
async fn a_text_too_large_for_nats_travels_in_pieces() {
    let nats = Nats::start().await;
    let (maker, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let whole = "€".repeat(1 << 20);
    let mut hearing = node.hear(reply).await.unwrap();
    maker.tell(reply, chunk(0, &whole));
    heard(&mut hearing, &mut String::new(), &whole).await;
    until_said(&node, reply, &whole).await;
}

#[tokio::test]
async fn what_is_said_ends_at_a_gap_and_what_is_heard_goes_on() {
    let nats = Nats::start().await;
    let (maker, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let mut hearing = node.hear(reply).await.unwrap();
    let told = [chunk(0, "Hello"), chunk(10, "lost"), chunk(14, " words")];
    for chunk in &told {
        maker.tell(reply, chunk.clone());
    }
    let mut reached = 0;
    while reached < 20 {
        reached = reached.max(timeout(PATIENCE, hearing.next()).await.unwrap().unwrap().end());
    }
    until_said(&node, reply, "Hello").await;
    let headless = fresh();
    maker.tell(headless, chunk(3, "lo"));
    let mut hearing = node.hear(headless).await.unwrap();
    assert_eq!(timeout(PATIENCE, hearing.next()).await.unwrap(), Some(chunk(3, "lo")));
    assert_eq!(node.said(headless).await.unwrap(), "");
}

#[tokio::test]
async fn a_reader_that_was_too_slow_gets_what_it_missed() {
    let nats = Nats::start().await;
    let (maker, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let (mut hearing, mut text) = (node.hear(reply).await.unwrap(), String::new());
    // More than lies ready for a reader who does not read.
    for at in 0..70_000 {
        maker.tell(reply, chunk(at, "x"));
        if at % 10_000 == 9_999 {
            // Returns when all before it is sent.
            maker.ask_to_stop(fresh()).await.unwrap();
        }
    }
    let whole = "x".repeat(70_000);
    until_said(&node, reply, &whole).await;
    heard(&mut hearing, &mut text, &"x".repeat(65_000)).await;
    maker.tell(reply, chunk(70_000, "."));
    heard(&mut hearing, &mut text, &format!("{whole}.")).await;
}

#[tokio::test]
async fn every_node_hears_a_request_to_stop() {
    let nats = Nats::start().await;
    let (one, two, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let (mut stops, mut too) = (one.stops().await.unwrap(), two.stops().await.unwrap());
    one.ask_to_stop(reply).await.unwrap();
    assert_eq!(timeout(PATIENCE, stops.next()).await.unwrap(), Some(reply));
    assert_eq!(timeout(PATIENCE, too.next()).await.unwrap(), Some(reply));
}
