//! How often one may try to sign in: one answer of all nodes, on both engines.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use api::{Admission, Throttle};
use domain::Timestamp;
use domain::limit::{Backoff, Rate};
use futures::future::join_all;
use store::Db;
use store::limits::{Kept, Limits};
use tests::{Stage, on_both_engines};

const SECRET: &[u8] = b"a secret that is good for tests alone";
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const DAY: i64 = 86_400;

fn throttle(db: Db, rate: &str) -> Throttle {
    Throttle::new(db, Some(rate.parse::<Rate>().unwrap()), SECRET)
}

/// Two nodes on one database.
fn nodes(stage: &Stage, rate: &str) -> [Throttle; 2] {
    [throttle(stage.log.db().clone(), rate), throttle(stage.another_db(), rate)]
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

/// Tries, and fails; how long to wait where it was not admitted.
async fn fail(throttle: &Throttle, ip: &str, name: &str, now: Timestamp) -> Result<(), u32> {
    match throttle.admit(Some(ip), name, now).await.unwrap() {
        Admission::Admitted(_) => Ok(()),
        Admission::Refused { retry_after_seconds } => Err(retry_after_seconds),
    }
}

async fn succeed(throttle: &Throttle, ip: &str, name: &str, now: Timestamp) {
    let Admission::Admitted(ticket) = throttle.admit(Some(ip), name, now).await.unwrap() else {
        unreachable!("{name} was refused")
    };
    throttle.succeeded(ticket, now).await.unwrap();
}

/// Fails with a name until one has to wait.
async fn lock_out(throttle: &Throttle, ip: &str, name: &str, now: Timestamp) {
    for _ in 0..=Backoff::FREE {
        assert_eq!(fail(throttle, ip, name, now).await, Ok(()));
    }
    assert_eq!(fail(throttle, ip, name, now).await, Err(2));
}

on_both_engines! {
    async fn an_address_has_its_rate_over_all_nodes_however_many_try_at_once(stage: Stage) {
        let nodes = nodes(&stage, "10/minute");
        let names: Vec<String> = (0..60).map(|number| format!("user {number}")).collect();
        let attempts = names.iter().zip(nodes.iter().cycle()).map(|(name, node)| fail(node, "10.0.0.1", name, NOW));
        let outcomes = join_all(attempts).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
        assert!(outcomes.iter().filter_map(|outcome| outcome.err()).all(|wait| wait == 60));

        let [one, other] = nodes;
        assert_eq!(fail(&one, "10.0.0.2", "user 1", NOW).await, Ok(()));
        assert_eq!(fail(&other, "10.0.0.1", "user 99", at(59)).await, Err(1));
        assert_eq!(fail(&other, "10.0.0.1", "user 99", at(60)).await, Ok(()));
    }

    async fn a_name_has_five_free_failures_over_all_nodes_however_many_try_at_once(stage: Stage) {
        let nodes = nodes(&stage, "1000/minute");
        let ips: Vec<String> = (1..=40).map(|number| format!("10.0.0.{number}")).collect();
        let attempts = ips.iter().zip(nodes.iter().cycle()).map(|(ip, node)| fail(node, ip, "ann@example.org", NOW));
        let outcomes = join_all(attempts).await;
        // Five that are free, and the one after which one waits.
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 6);
        assert!(outcomes.iter().filter_map(|outcome| outcome.err()).all(|wait| wait == 2));
    }

    async fn each_wait_is_twice_the_one_before_up_to_a_quarter_of_an_hour(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute");
        let mut now = NOW;
        for wait in [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert_eq!(fail(&one, "10.0.0.1", "ann", now).await, Ok(()));
            if wait > 0 {
                assert_eq!(fail(&other, "10.0.0.1", " ANN ", now).await, Err(wait));
            }
            now = now.plus_seconds(wait.into());
        }
    }

    async fn who_signs_in_starts_anew(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute");
        for _ in 0..3 {
            for _ in 0..Backoff::FREE {
                assert_eq!(fail(&one, "10.0.0.1", "ann", NOW).await, Ok(()));
            }
            succeed(&other, "10.0.0.1", "ann", NOW).await;
        }
    }

    async fn a_stranger_locks_nobody_out_of_an_address_that_they_have_signed_in_from(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute");
        succeed(&one, "10.0.0.1", "ann", NOW).await;
        lock_out(&one, "10.9.9.9", "ann", NOW).await;
        assert_eq!(fail(&other, "10.0.0.2", "ann", NOW).await, Err(2), "a new address of hers waits like everybody");
        succeed(&other, "10.0.0.1", "Ann", NOW).await;
        // What fails at home counts at home.
        lock_out(&one, "10.0.0.1", "ann", NOW).await;
        // The stranger's failures stand, whatever she does.
        assert_eq!(fail(&one, "10.9.9.9", "ann", at(2)).await, Ok(()));
        assert_eq!(fail(&one, "10.9.9.9", "ann", at(2)).await, Err(4));
    }

    async fn an_address_is_known_for_thirty_days(stage: Stage) {
        let [one, _] = nodes(&stage, "1000/minute");
        succeed(&one, "10.0.0.1", "ann", NOW).await;
        for (days, known) in [(29, true), (30, false)] {
            lock_out(&one, "10.9.9.9", "ann", at(days * DAY)).await;
            assert_eq!(fail(&one, "10.0.0.1", "ann", at(days * DAY)).await.is_ok(), known);
        }
    }

    async fn what_is_refused_counts_nowhere(stage: Stage) {
        let [one, _] = nodes(&stage, "7/minute");
        lock_out(&one, "10.0.0.1", "ann", NOW).await;
        for _ in 0..5 {
            assert_eq!(fail(&one, "10.0.0.1", "ann", NOW).await, Err(2));
        }
        // Six were admitted from this address, so one is left.
        assert_eq!(fail(&one, "10.0.0.1", "bob", NOW).await, Ok(()));
        for _ in 0..9 {
            assert_eq!(fail(&one, "10.0.0.1", "bob", NOW).await, Err(60));
        }
        // Bob has one failure, and not ten.
        for _ in 1..=Backoff::FREE {
            assert_eq!(fail(&one, "10.0.0.2", "bob", NOW).await, Ok(()));
        }
        assert_eq!(fail(&one, "10.0.0.2", "bob", NOW).await, Err(2));
    }

    async fn without_an_address_the_name_counts(stage: Stage) {
        let [one, _] = nodes(&stage, "1/minute");
        for _ in 0..=Backoff::FREE {
            assert!(matches!(one.admit(None, "ann", NOW).await.unwrap(), Admission::Admitted(_)));
        }
        let refused = one.admit(None, "ann", NOW).await.unwrap();
        assert!(matches!(refused, Admission::Refused { retry_after_seconds: 2 }));
    }

    async fn off_admits_all_and_remembers_nothing(stage: Stage) {
        let off = Throttle::new(stage.log.db().clone(), None, SECRET);
        for _ in 0..100 {
            assert_eq!(fail(&off, "10.0.0.1", "ann", NOW).await, Ok(()));
        }
        succeed(&off, "10.0.0.1", "ann", NOW).await;
        assert_eq!(off.identifier(" Ann "), throttle(stage.another_db(), "1").identifier("ann"));
        assert_eq!(off.identifier("ann").len(), 32);
        assert_ne!(off.identifier("ann"), off.identifier("bob"));
        assert_ne!(off.identifier("ann"), Throttle::new(stage.another_db(), None, b"another").identifier("ann"));
        assert!(!Limits::new(stage.another_db()).knows(&off.identifier("ann"), "10.0.0.1", NOW).await.unwrap());
    }

    async fn decisions_on_the_same_limits_lose_nothing_whatever_their_order(stage: Stage) {
        let nodes: Vec<Limits> = (0..4).map(|_| Limits::new(stage.another_db())).collect();
        let count = |states: &[String]| {
            let next = |state: &String| Kept { state: format!("{state}x"), expires_at: at(60) };
            Ok::<_, ()>(((), states.iter().map(next).collect()))
        };
        let decisions = (0..80).zip(nodes.iter().cycle()).map(|(number, node)| async move {
            let keys = if number % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            node.decide(&keys, NOW, count).await.unwrap()
        });
        assert_eq!(join_all(decisions).await, vec![Ok(()); 80]);
        let read = |states: &[String]| Err::<((), Vec<Kept>), _>(states.to_vec());
        assert_eq!(nodes.first().unwrap().decide(&["b", "a"], NOW, read).await.unwrap(), Err(vec!["x".repeat(80); 2]));
    }

    async fn what_has_expired_is_forgotten_and_nothing_else(stage: Stage) {
        let limits = Limits::new(stage.another_db());
        let keep = |seconds| move |_: &[String]| Ok::<_, ()>(((), vec![Kept { state: "x".to_owned(), expires_at: at(seconds) }]));
        limits.decide(&["old"], NOW, keep(10)).await.unwrap().unwrap();
        limits.decide(&["new"], NOW, keep(11)).await.unwrap().unwrap();
        limits.clear("none", "ann", Some("10.0.0.1"), at(10)).await.unwrap();
        limits.clear("none", "ann", Some("10.0.0.2"), at(11)).await.unwrap();
        limits.forget(at(10)).await.unwrap();
        let read = |states: &[String]| Err::<((), Vec<Kept>), _>(states.to_vec());
        let states = limits.decide(&["old", "new"], NOW, read).await.unwrap().unwrap_err();
        assert_eq!(states, ["", "x"]);
        assert!(!limits.knows("ann", "10.0.0.1", NOW).await.unwrap());
        assert!(limits.knows("ann", "10.0.0.2", NOW).await.unwrap());
    }

    async fn a_process_forgets_what_has_expired_now_and_then(stage: Stage) {
        let limits = Limits::new(stage.another_db());
        let keep = |_: &[String]| Ok::<_, ()>(((), vec![Kept { state: "x".to_owned(), expires_at: at(10) }]));
        let read = |states: &[String]| Err::<((), Vec<Kept>), _>(states.to_vec());
        limits.decide(&["old"], NOW, keep).await.unwrap().unwrap();
        assert_eq!(limits.decide(&["old"], NOW, read).await.unwrap(), Err(vec!["x".to_owned()]));
        for _ in 0..256 {
            limits.decide(&["other"], at(20), read).await.unwrap().unwrap_err();
        }
        assert_eq!(limits.decide(&["old"], NOW, read).await.unwrap(), Err(vec![String::new()]));
    }
}
