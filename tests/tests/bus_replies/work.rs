//! Replies that are wanted: offered once, claimed by one, and by another when that one is gone.

use std::thread;
use std::time::{Duration, Instant};

use nats::Bus;
use tests::stage::PATIENCE;
use tests::{Nats, Stage, on_both_engines};
use tokio::runtime;
use tokio::time::timeout;

use crate::{claim, connect, fresh, nothing_for};

on_both_engines! {
    async fn a_wanted_reply_is_given_to_one_replier(stage: Stage) {
        let (mut one, mut two) = (stage.bus.work().await.unwrap(), stage.bus.work().await.unwrap());
        let replies = [fresh(), fresh(), fresh()];
        for reply in replies {
            stage.bus.offer(reply).await.unwrap();
        }
        let mut claims = [claim(&mut one).await, claim(&mut two).await, claim(&mut one).await];
        assert!(claims.iter().all(|claim| !claim.is_again()));
        claims.sort_by_key(|claim| claim.reply);
        assert_eq!(claims.iter().map(|claim| claim.reply).collect::<Vec<_>>(), replies);
        nothing_for(&mut one).await;
        nothing_for(&mut two).await;
    }

    async fn who_waits_gets_the_next_offer(stage: Stage) {
        let (bus, reply) = (stage.bus.clone(), fresh());
        let waiting = tokio::spawn(async move { claim(&mut bus.work().await.unwrap()).await.reply });
        stage.bus.offer(reply).await.unwrap();
        assert_eq!(waiting.await.unwrap(), reply);
    }

    async fn an_offer_of_what_is_there_changes_nothing(stage: Stage) {
        let (mut work, reply) = (stage.bus.work().await.unwrap(), fresh());
        stage.bus.offer(reply).await.unwrap();
        stage.bus.offer(reply).await.unwrap();
        let claimed = claim(&mut work).await;
        stage.bus.offer(reply).await.unwrap();
        nothing_for(&mut work).await;
        claimed.done().await;
        nothing_for(&mut work).await;
        // What has ended may be wanted again.
        stage.bus.offer(reply).await.unwrap();
        assert!(!claim(&mut work).await.is_again());
    }

    async fn what_is_given_back_comes_again(stage: Stage) {
        let (mut work, reply) = (stage.bus.work().await.unwrap(), fresh());
        stage.bus.offer(reply).await.unwrap();
        claim(&mut work).await.give_back().await;
        let again = claim(&mut work).await;
        assert!(again.reply == reply && again.is_again());
        again.done().await;
        nothing_for(&mut work).await;
    }

    async fn what_is_dropped_comes_again(stage: Stage) {
        let (mut work, reply) = (stage.bus.work().await.unwrap(), fresh());
        stage.bus.offer(reply).await.unwrap();
        drop(claim(&mut work).await);
        let begun = Instant::now();
        let again = claim(&mut work).await;
        assert!(again.reply == reply && again.is_again());
        assert!(begun.elapsed() < Duration::from_secs(8), "not only when its time has run out");
    }

    async fn giving_up_to_wait_loses_nothing(stage: Stage) {
        let mut work = stage.bus.work().await.unwrap();
        for _ in 0..50 {
            let reply = fresh();
            let offer = async {
                stage.bus.offer(reply).await.unwrap();
            };
            let mut came = None;
            tokio::pin!(offer);
            while came.is_none() {
                tokio::select! {
                    claimed = work.next() => came = Some(claimed.unwrap()),
                    () = &mut offer => break,
                }
            }
            let claimed = match came {
                Some(claimed) => claimed,
                None => claim(&mut work).await,
            };
            assert!(claimed.reply == reply && !claimed.is_again());
            claimed.done().await;
        }
    }
}

#[tokio::test]
async fn a_reply_whose_replier_died_is_given_to_another() {
    let nats = Nats::start().await;
    let (bus, reply) = (connect(&nats).await, fresh());
    bus.offer(reply).await.unwrap();
    let (url, begun) = (nats.url(), Instant::now());
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bus = Bus::connect(&url, PATIENCE).await.unwrap();
            // Killed, it has no time to give anything back.
            std::mem::forget(claim(&mut bus.work().await.unwrap()).await);
        });
    })
    .join()
    .unwrap();
    let again = claim(&mut bus.work().await.unwrap()).await;
    assert!(again.reply == reply && again.is_again());
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_replier_that_is_still_at_it_keeps_its_reply() {
    let nats = Nats::start().await;
    let (maker, other, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    maker.offer(reply).await.unwrap();
    let claimed = claim(&mut maker.work().await.unwrap()).await;
    let mut work = other.work().await.unwrap();
    let keep = async {
        let mut ticks = tokio::time::interval(nats::KEEP_EVERY);
        loop {
            ticks.tick().await;
            claimed.keep().await;
        }
    };
    tokio::select! {
        stolen = work.next() => panic!("{} was taken away", stolen.unwrap().reply),
        () = keep => {}
        waited = timeout(Duration::from_secs(13), std::future::pending::<()>()) => assert!(waited.is_err()),
    }
    claimed.give_back().await;
    assert_eq!(claim(&mut work).await.reply, reply);
}

#[tokio::test]
async fn a_reply_left_by_a_replier_that_looks_no_more_goes_to_another() {
    let nats = Nats::start().await;
    let (idle, other, reply) = (connect(&nats).await, connect(&nats).await, fresh());
    let mut left = idle.work().await.unwrap();
    nothing_for(&mut left).await;
    // NATS gives it to the one who asked first, who looks no more.
    idle.offer(reply).await.unwrap();
    let again = claim(&mut other.work().await.unwrap()).await;
    assert!(again.reply == reply && again.is_again());
    nothing_for(&mut left).await;
    again.done().await;
}
