//! The text of a reply while it grows, and the wish that it stop, from one node to every other.

use std::fs;
use std::os::unix::fs::MetadataExt;

use async_nats::jetstream::stream::SubjectTransform;
use domain::ids::MessageId;
use nats::Bus;
use tempfile::TempDir;
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

    async fn whoever_comes_after_finds_what_was_told(stage: Stage) {
        let (replies, whole) = ([fresh(), fresh()], "Größe, 大きさ, 🦀: ".repeat(50));
        for reply in replies {
            tell(&stage.bus, reply, 0, &whole);
        }
        let next = stage.another_bus().await;
        for reply in replies {
            until_said(&next, reply, &whole).await;
        }
        assert_eq!(next.said(fresh()).await.unwrap(), "", "each reply has its own text");
    }

    async fn what_is_said_ends_at_a_gap(stage: Stage) {
        let (reply, headless) = (fresh(), fresh());
        let (mut speaker, mut other) = (stage.bus.speaker(reply), stage.bus.speaker(headless));
        for chunk in [chunk(0, "Hello"), chunk(10, "lost"), chunk(14, " words")] {
            speaker.tell(&chunk);
        }
        other.tell(&chunk(3, "lo"));
        let next = stage.another_bus().await;
        until_said(&next, reply, "Hello").await;
        assert_eq!(next.said(headless).await.unwrap(), "");
    }
}

/// What was told just before somebody listens may not be in the stream yet when they ask for what is there.
#[tokio::test]
async fn what_was_on_its_way_is_heard_though_nothing_comes_after_it() {
    let nats = Nats::start().await;
    let bus = connect(&nats).await;
    let _makes_the_stream = bus.stops().await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    // What comes by another name is kept, and nobody hears it.
    let mut live = jetstream.get_stream("COLLOQUY_LIVE").await.unwrap().cached_info().config.clone();
    live.subjects.push("late.>".to_owned());
    live.subject_transform = Some(SubjectTransform { source: "late.>".to_owned(), destination: "live.>".to_owned() });
    jetstream.update_stream(live).await.unwrap();
    let reply = fresh();
    let mut hearing = bus.hear(reply).await.unwrap();
    let message = [&0_u64.to_be_bytes(), b"Hello".as_slice()].concat();
    jetstream.publish(format!("late.{reply}"), message.into()).await.unwrap().await.unwrap();
    assert_eq!(timeout(PATIENCE, hearing.next()).await.unwrap(), Some(chunk(0, "Hello")));
}

/// A process alone, its folder, and one reply.
fn alone() -> (TempDir, Bus, MessageId) {
    let folder = TempDir::new().unwrap();
    let bus = Bus::in_process(&folder.path().join("replies")).unwrap();
    (folder, bus, fresh())
}

#[tokio::test]
async fn in_one_process_nothing_is_heard() {
    let (_folder, bus, reply) = alone();
    let mut hearing = bus.hear(reply).await.unwrap();
    tell(&bus, reply, 0, "to whom?");
    assert!(timeout(MOMENT, hearing.next()).await.is_err());
}

#[tokio::test]
async fn in_one_process_a_text_is_kept_until_it_is_forgotten() {
    let (folder, bus, reply) = alone();
    let (other, files) = (fresh(), folder.path().join("replies"));
    let modes = || [&files, &files.join(reply.to_string())].map(|path| fs::metadata(path).unwrap().mode() & 0o777);
    for reply in [reply, other] {
        tell(&bus, reply, 0, "so far");
    }
    assert_eq!(modes(), [0o700, 0o600], "it is for its owner alone");
    fs::write(files.join("notes"), "somebody else's").unwrap();
    let mut left = bus.left();
    left.sort_unstable();
    assert_eq!(left, [reply, other]);
    bus.forget(reply);
    bus.forget(reply);
    assert_eq!((bus.left(), bus.left_of(reply), bus.left_of(other)), (vec![other], String::new(), "so far".to_owned()));
    assert!(files.join("notes").exists());
}

#[tokio::test]
async fn in_one_process_a_text_that_begins_anew_has_nothing_of_an_older_one() {
    let (_folder, bus, reply) = alone();
    // Its beginning could not be written: nobody knows of it, and it is made again.
    bus.speaker(reply).tell(&chunk(9, "and the end of it"));
    assert_eq!(bus.left_of(reply), "");
    tell(&bus, reply, 0, "something ");
    assert_eq!(bus.left_of(reply), "something ");
}

#[tokio::test]
async fn in_one_process_a_reply_goes_on_though_nothing_can_be_written() {
    let (folder, bus, reply) = alone();
    fs::remove_dir_all(folder.path().join("replies")).unwrap();
    tell(&bus, reply, 0, "to nobody");
    assert_eq!((bus.said(reply).await.unwrap().as_str(), bus.left().len()), ("", 0));
    bus.forget(reply);
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
        tell(&maker, reply, whole.len(), ".");
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
    maker.speaker(reply).tell(&chunk(0, &whole));
    heard(&mut hearing, &mut String::new(), &whole).await;
    until_said(&node, reply, &whole).await;
}

#[tokio::test]
async fn what_is_heard_goes_on_after_a_gap() {
    let nats = Nats::start().await;
    let (maker, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let mut hearing = node.hear(reply).await.unwrap();
    let mut speaker = maker.speaker(reply);
    for chunk in [chunk(0, "Hello"), chunk(10, "lost"), chunk(14, " words")] {
        speaker.tell(&chunk);
    }
    let mut reached = 0;
    while reached < 20 {
        reached = reached.max(timeout(PATIENCE, hearing.next()).await.unwrap().unwrap().end());
    }
    until_said(&node, reply, "Hello").await;
    let headless = fresh();
    tell(&maker, headless, 3, "lo");
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
    let mut speaker = maker.speaker(reply);
    for at in 0..70_000 {
        speaker.tell(&chunk(at, "x"));
        if at % 10_000 == 9_999 {
            // Returns when all before it is sent.
            maker.ask_to_stop(fresh()).await.unwrap();
        }
    }
    let whole = "x".repeat(70_000);
    until_said(&node, reply, &whole).await;
    heard(&mut hearing, &mut text, &"x".repeat(65_000)).await;
    speaker.tell(&chunk(70_000, "."));
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
