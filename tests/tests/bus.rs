//! The bus in both forms, the relay and the self-healing reader: every event once, in order, whatever NATS loses.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use nats::{Bus, BusError, Feed};
use serde_json::value::to_raw_value;
use store::{Append, Log, NewEvent, Position, Recorded};
use tests::stage::PATIENCE;
use tests::{Stage, on_both_engines};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

async fn append(log: &Log, count: usize) {
    append_sized(log, count, 0).await;
}

async fn append_sized(log: &Log, count: usize, size: usize) {
    let filler = "x".repeat(size);
    for _ in 0..count {
        let event = NewEvent {
            stream_type: "conversation",
            stream_id: store::fresh_id::<Uuid>().to_string(),
            sequence: 1,
            event_type: "ConversationStarted",
            event_version: "1",
            payload: to_raw_value(&serde_json::json!({"ConversationStarted": {"owner": Uuid::nil(), "f": filler}}))
                .unwrap(),
        };
        let metadata = to_raw_value(&serde_json::json!({"request_id": "test"})).unwrap();
        let append = Append { events: vec![event], guards: Vec::new(), metadata, recorded_at: Timestamp::default() };
        log.append(append).await.unwrap();
    }
}

/// Reads `count` events, and fails on any that is missing, twice or out of order.
async fn read(feed: &mut Feed, after: i64, count: i64) {
    let mut seen = after;
    while seen < after + count {
        let some = tokio::time::timeout(PATIENCE, feed.next(100)).await;
        for event in some.unwrap_or_else(|_| panic!("nothing comes after {seen}")).unwrap() {
            seen += 1;
            assert_eq!(event.position.get(), seen);
        }
    }
    assert_eq!(seen, after + count);
}

/// Appends until what is appended comes into this process over the bus itself. What was published before this process had its
/// consumer is never carried to it, and is nobody's loss: readers have it from the log.
async fn carried(stage: &Stage) {
    let arrives = async {
        loop {
            append(&stage.log, 1).await;
            let head = stage.log.head().await.unwrap();
            let mut tail = stage.bus.tail().head();
            if tokio::time::timeout(MOMENT, tail.wait_for(|tail| *tail >= head)).await.is_ok() {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, arrives).await.is_ok(), "nothing comes over the bus");
}

/// Long enough for an event to travel, short enough to try again.
const MOMENT: Duration = Duration::from_millis(500);

async fn events(log: &Log, after: i64) -> Vec<Arc<Recorded>> {
    log.read(Position::new(after), 1_000).await.unwrap()
}

on_both_engines! {
    async fn a_reader_gets_every_event_once_and_in_order(stage: Stage) {
        append(&stage.log, 30).await;
        stage.relay();
        let mut feed = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::START);
        read(&mut feed, 0, 30).await;
        append(&stage.log, 30).await;
        read(&mut feed, 30, 30).await;
        let mut late = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::new(45));
        read(&mut late, 45, 15).await;
    }

    async fn events_travel_over_the_bus_itself(stage: Stage) {
        append(&stage.log, 5).await;
        stage.relay();
        carried(&stage).await;
        let head = stage.log.head().await.unwrap();
        let last = stage.bus.tail().after(Position::new(head.get() - 1), 10).unwrap();
        let logged = events(&stage.log, head.get() - 1).await;
        assert_eq!(last[0].stream_id, logged[0].stream_id);
        assert_eq!(last[0].payload.get(), logged[0].payload.get());
        assert_eq!(last[0].metadata.get(), logged[0].metadata.get());
    }

    async fn the_bus_knows_how_far_it_has_come(stage: Stage) {
        append(&stage.log, 3).await;
        assert_eq!(stage.bus.resume(&stage.log).await.unwrap().get(), 3);
        append(&stage.log, 4).await;
        stage.bus.publish(&events(&stage.log, 3).await).await.unwrap();
        assert_eq!(stage.bus.resume(&stage.log).await.unwrap().get(), 7);
    }

    async fn without_a_relay_the_log_is_read(stage: Stage) {
        let mut feed = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::START);
        append(&stage.log, 10).await;
        read(&mut feed, 0, 10).await;
        append(&stage.another_log(), 10).await;
        read(&mut feed, 10, 10).await;
    }

    async fn an_event_too_large_for_nats_comes_from_the_log(stage: Stage) {
        stage.relay();
        let mut feed = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::START);
        append(&stage.log, 3).await;
        append_sized(&stage.log, 2, 2 << 20).await;
        append(&stage.log, 3).await;
        read(&mut feed, 0, 8).await;
        append(&stage.log, 3).await;
        read(&mut feed, 8, 3).await;
        carried(&stage).await;
    }
}

#[tokio::test]
async fn nats_refuses_a_hole_and_takes_no_event_twice() {
    let stage = Stage::postgres_nats().await;
    assert_eq!(stage.bus.resume(&stage.log).await.unwrap(), Position::START);
    append(&stage.log, 10).await;
    let all = events(&stage.log, 0).await;
    stage.bus.publish(all.get(0..4).unwrap()).await.unwrap();
    assert!(matches!(stage.bus.publish(all.get(5..8).unwrap()).await, Err(BusError::Apart)), "a hole");
    // Known already: acknowledged as duplicates, and stored once.
    let _ = stage.bus.publish(all.get(2..4).unwrap()).await;
    assert_eq!(stage.bus.resume(&stage.log).await.unwrap().get(), 4);
    stage.bus.publish(all.get(4..).unwrap()).await.unwrap();
    assert_eq!(stage.bus.resume(&stage.log).await.unwrap().get(), 10);
}

#[tokio::test]
async fn a_reader_heals_when_nats_dies_and_forgets_everything() {
    let mut stage = Stage::postgres_nats().await;
    stage.relay();
    let mut feed = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::START);
    append(&stage.log, 20).await;
    read(&mut feed, 0, 20).await;

    let nats = stage.nats.as_mut().unwrap();
    nats.kill().await;
    append(&stage.log, 20).await;
    read(&mut feed, 20, 20).await;
    let nats = stage.nats.as_mut().unwrap();
    nats.wipe();
    nats.restart().await;
    append(&stage.log, 20).await;
    read(&mut feed, 40, 20).await;
    // The relay has made the stream again, and events travel over it.
    tokio::time::timeout(PATIENCE, async {
        loop {
            append(&stage.log, 1).await;
            if *stage.bus.tail().head().borrow() > Position::new(60) {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("events travel again");
}

#[tokio::test]
async fn a_stream_of_another_log_is_made_anew() {
    let (stage, other) = (Stage::postgres_nats().await, Stage::sqlite().await);
    append(&other.log, 8).await;
    assert_eq!(stage.bus.resume(&stage.log).await.unwrap(), Position::START);
    stage.bus.publish(&events(&other.log, 0).await).await.unwrap();
    append(&stage.log, 10).await;
    assert_eq!(stage.bus.resume(&stage.log).await.unwrap().get(), 10, "nothing of the other log is built upon");
    // A log that was restored from a backup is behind its own stream.
    append(&stage.log, 1).await;
    stage.bus.publish(&events(&stage.log, 10).await).await.unwrap();
    let restored = Stage::sqlite().await;
    append(&restored.log, 2).await;
    assert_eq!(stage.bus.resume(&restored.log).await.unwrap().get(), 2);
}

#[tokio::test]
async fn two_relays_carry_each_event_once_and_one_leads() {
    let stage = Stage::postgres_nats().await;
    let url = stage.nats.as_ref().unwrap().url();
    let (one, two) = (CancellationToken::new(), CancellationToken::new());
    for stop in [&one, &two] {
        let bus = Bus::connect(&url, PATIENCE).await.unwrap();
        tokio::spawn(relay::run(stage.another_log(), bus, stop.clone()));
    }
    let (bus, stop) = (stage.bus.clone(), CancellationToken::new());
    let _guard = stop.clone().drop_guard();
    tokio::spawn(async move { bus.run(stop).await });
    let mut feed = Feed::new(stage.log.clone(), stage.bus.tail().clone(), Position::START);
    append(&stage.log, 50).await;
    read(&mut feed, 0, 50).await;
    assert!(stage.lease("relay").await.is_none(), "one of them leads");
    one.cancel();
    append(&stage.log, 50).await;
    read(&mut feed, 50, 50).await;
    carried(&stage).await;
    two.cancel();
}
