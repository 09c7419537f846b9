//! NATS dies, comes back, and has forgotten what it held: work and live text go on.

use std::time::Instant;

use domain::ids::MessageId;
use nats::Bus;
use tests::Nats;
use tests::stage::PATIENCE;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{chunk, claim, connect, fresh, heard, nothing_for, tell, until_said};

#[tokio::test]
async fn work_waits_through_a_crash_of_nats() {
    let mut nats = Nats::start().await;
    let (bus, reply, later) = (connect(&nats).await, fresh(), fresh());
    let mut work = bus.work().await.unwrap();
    nothing_for(&mut work).await;
    bus.offer(reply).await.unwrap();
    let claimed = claim(&mut work).await;
    let waiting = tokio::spawn(async move { claim(&mut work).await.reply });
    nats.kill().await;
    assert!(bus.offer(later).await.is_err(), "nobody took it");
    nats.restart().await;
    offer_until_taken(&bus, later).await;
    assert_eq!(waiting.await.unwrap(), later);
    // It was claimed before the crash, and is still.
    claimed.give_back().await;
    let again = claim(&mut bus.work().await.unwrap()).await;
    assert!(again.reply == reply && again.is_again());
}

#[tokio::test]
async fn work_goes_on_when_somebody_deletes_what_it_needs() {
    let nats = Nats::start().await;
    let (bus, node, replies) = (connect(&nats).await, connect(&nats).await, [fresh(), fresh()]);
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let mut work = node.work().await.unwrap();
    for (reply, all) in replies.into_iter().zip([false, true]) {
        nothing_for(&mut work).await;
        if all {
            jetstream.delete_stream("COLLOQUY_WORK").await.unwrap();
        } else {
            jetstream.delete_consumer_from_stream("repliers", "COLLOQUY_WORK").await.unwrap();
        }
        bus.offer(reply).await.unwrap();
        let claimed = claim(&mut work).await;
        assert_eq!(claimed.reply, reply);
        claimed.done().await;
    }
}

#[tokio::test]
async fn work_and_live_text_go_on_when_nats_forgets_everything() {
    let mut nats = Nats::start().await;
    let (bus, node, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stop).await }
    });
    let (mut work, mut stops) = (node.work().await.unwrap(), node.stops().await.unwrap());
    nothing_for(&mut work).await;
    let waiting = tokio::spawn(async move { claim(&mut work).await.reply });
    nats.kill().await;
    tell(&bus, reply, 0, "to nobody");
    nats.wipe();
    nats.restart().await;
    offer_until_taken(&bus, reply).await;
    assert_eq!(waiting.await.unwrap(), reply);

    let (mut hearing, whole) = (node.hear(reply).await.unwrap(), "once more");
    tell(&bus, reply, 0, whole);
    heard(&mut hearing, &mut String::new(), whole).await;
    until_said(&node, reply, whole).await;
    bus.ask_to_stop(reply).await.unwrap();
    assert_eq!(timeout(PATIENCE, stops.next()).await.unwrap(), Some(reply));
}

/// Offers until NATS is there again.
async fn offer_until_taken(bus: &Bus, reply: MessageId) {
    let offered = async {
        while bus.offer(reply).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, offered).await.expect("NATS is there again");
}

#[tokio::test]
async fn while_nats_is_away_nobody_waits_for_it() {
    let mut nats = Nats::start().await;
    let (bus, reply) = (connect(&nats).await, fresh());
    bus.offer(reply).await.unwrap();
    let claimed = claim(&mut bus.work().await.unwrap()).await;
    nats.kill().await;
    let (mut speaker, begun) = (bus.speaker(reply), Instant::now());
    for at in 0..50_000 {
        speaker.tell(&chunk(at, "x"));
    }
    assert!(begun.elapsed() < PATIENCE / 10, "telling took {:?}", begun.elapsed());
    claimed.keep().await;
    assert!(bus.ask_to_stop(reply).await.is_err());
    claimed.done().await;
    assert!(begun.elapsed() < PATIENCE / 2, "it took {:?}", begun.elapsed());
}
