//! How often one may try to sign in: one answer of all nodes, on both engines.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use std::time::Duration;

use api::{Admission, Guess, Throttle, Ticket};
use domain::Timestamp;
use domain::ids::UserId;
use domain::limit::{Backoff, Rate};
use futures::future::join_all;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;
use store::limits::{Kept, Limits};
use store::{Db, Tx};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

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
async fn fail<'a>(throttle: &Throttle, ip: &str, guess: impl Into<Guess<'a>>, now: Timestamp) -> Result<(), u32> {
    match throttle.admit(Some(ip), guess, now).await.unwrap() {
        Admission::Admitted(_) => Ok(()),
        Admission::Refused { retry_after_seconds } => Err(retry_after_seconds),
    }
}

/// Tries; how it ends is not known yet.
async fn begin<'a>(throttle: &Throttle, ip: &str, guess: impl Into<Guess<'a>>, now: Timestamp) -> Ticket {
    match throttle.admit(Some(ip), guess, now).await.unwrap() {
        Admission::Admitted(ticket) => ticket,
        Admission::Refused { .. } => unreachable!("{ip} was refused"),
    }
}

async fn succeed<'a>(throttle: &Throttle, ip: &str, guess: impl Into<Guess<'a>>, now: Timestamp) {
    let ticket = begin(throttle, ip, guess, now).await;
    throttle.succeeded(ticket, now).await.unwrap();
}

/// Fails with a name until one has to wait.
async fn lock_out<'a>(throttle: &Throttle, ip: &str, guess: impl Into<Guess<'a>>, now: Timestamp) {
    let guess = guess.into();
    for _ in 0..=Backoff::FREE {
        assert_eq!(fail(throttle, ip, guess, now).await, Ok(()));
    }
    assert_eq!(fail(throttle, ip, guess, now).await, Err(2));
}

/// Nobody else writes down a limit while it lasts.
async fn hold(db: &Db) -> Tx {
    match db {
        Db::Sqlite(file) => Tx::Sqlite(file.write.begin_with("begin immediate").await.unwrap()),
        Db::Postgres(postgres) => {
            let mut tx = postgres.pool.begin().await.unwrap();
            sqlx::query("lock table limits in exclusive mode").execute(&mut *tx).await.unwrap();
            Tx::Postgres(tx)
        }
    }
}

on_both_engines! {
    async fn an_address_has_its_rate_over_all_nodes_however_many_try_at_once(stage: Stage) {
        let nodes = nodes(&stage, "10/minute");
        let names: Vec<String> = (0..60).map(|number| format!("user {number}")).collect();
        let attempts = names.iter().zip(nodes.iter().cycle()).map(|(name, node)| fail(node, "10.0.0.1", name.as_str(), NOW));
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

    async fn guesses_at_an_account_and_under_a_name_that_reads_like_its_id_count_apart(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute");
        let victim = UserId::from(uuid::Uuid::from_u128(7));
        let namesake = victim.to_string();
        lock_out(&one, "10.0.0.1", victim, NOW).await;
        succeed(&other, "10.0.0.1", namesake.as_str(), NOW).await;
        assert_eq!(fail(&other, "10.0.0.1", victim, NOW).await, Err(2));
        lock_out(&one, "10.0.0.2", namesake.as_str(), NOW).await;
        // That the namesake signed in from here makes it no address of the victim.
        assert_eq!(fail(&one, "10.0.0.3", victim, NOW).await, Err(2));
        succeed(&one, "10.0.0.3", victim, at(2)).await;
        assert_eq!(fail(&one, "10.0.0.2", namesake.as_str(), NOW).await, Err(2));

        let named = [namesake.clone(), format!("password of user: {namesake}")].map(|name| one.identifier(name.as_str()));
        assert!(!named.contains(&one.identifier(victim)));
        assert_eq!(one.identifier(victim), other.identifier(victim));
        assert_eq!(Guess::from(victim), Guess::Password(victim));
    }

    async fn what_was_no_guess_is_withdrawn_from_the_name_and_not_from_the_address(stage: Stage) {
        let [one, other] = nodes(&stage, "20/minute");
        for _ in 0..8 {
            let ticket = begin(&one, "10.0.0.1", "ann", NOW).await;
            other.withdraw(ticket, NOW).await.unwrap();
        }
        lock_out(&one, "10.0.0.1", "ann", NOW).await;
        // Nor does one wait for what was withdrawn when it would have cost a wait.
        for _ in 0..3 {
            let ticket = begin(&one, "10.0.0.1", "ann", at(2)).await;
            assert_eq!(fail(&one, "10.0.0.1", "ann", at(2)).await, Err(4));
            one.withdraw(ticket, at(3)).await.unwrap();
        }
        assert_eq!(fail(&one, "10.0.0.1", "ann", at(3)).await, Ok(()));
        assert_eq!(fail(&one, "10.0.0.1", "ann", at(3)).await, Err(4));
        // From the address were tried 8, 6, 3 and 1.
        for _ in 18..20 {
            assert_eq!(fail(&one, "10.0.0.1", "bob", at(3)).await, Ok(()));
        }
        assert_eq!(fail(&one, "10.0.0.1", "bob", at(3)).await, Err(57));
    }

    async fn what_is_withdrawn_after_somebody_signed_in_changes_nothing(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute");
        let ticket = begin(&one, "10.0.0.1", "ann", NOW).await;
        succeed(&other, "10.0.0.1", "ann", NOW).await;
        one.withdraw(ticket, NOW).await.unwrap();
        lock_out(&other, "10.0.0.2", "ann", NOW).await;
        let off = Throttle::new(stage.another_db(), None, SECRET);
        off.withdraw(begin(&off, "10.0.0.2", "ann", NOW).await, NOW).await.unwrap();
        assert_eq!(fail(&other, "10.0.0.2", "ann", NOW).await, Err(2));
    }

    async fn an_address_registers_at_its_rate_over_all_nodes_and_signs_in_apart(stage: Stage) {
        let nodes = nodes(&stage, "3/minute");
        let register = async |node: &Throttle, ip, now| node.admit_registration(ip, now).await.unwrap();
        let attempts = nodes.iter().cycle().take(12).map(|node| register(node, Some("10.0.0.1"), NOW));
        let outcomes = join_all(attempts).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
        assert!(outcomes.iter().filter_map(|outcome| outcome.err()).all(|wait| wait == 60));

        let [one, other] = nodes;
        assert_eq!(register(&one, Some("10.0.0.1"), at(59)).await, Err(1));
        assert_eq!(register(&one, Some("10.0.0.1"), at(60)).await, Ok(()));
        for _ in 0..3 {
            assert_eq!(register(&one, Some("2001:db8::1"), NOW).await, Ok(()));
            assert_eq!(fail(&one, "10.0.0.1", "ann", NOW).await, Ok(()));
        }
        assert_eq!(register(&other, Some("2001:db8::2"), NOW).await, Err(60), "it is the same network");
        let off = Throttle::new(stage.another_db(), None, SECRET);
        for _ in 0..9 {
            assert_eq!(register(&one, None, NOW).await, Ok(()));
            assert_eq!(register(&off, Some("10.0.0.1"), NOW).await, Ok(()));
        }
    }

    async fn who_is_refused_waits_for_nobody_and_writes_nothing(stage: Stage) {
        let [one, other] = nodes(&stage, "6/minute");
        lock_out(&one, "10.0.0.1", "ann", NOW).await;
        for _ in 0..6 {
            assert_eq!(one.admit_registration(Some("10.0.0.1"), NOW).await.unwrap(), Ok(()));
        }
        let held = hold(stage.log.db()).await;
        let refused = async {
            assert_eq!(fail(&other, "10.0.0.2", "ann", NOW).await, Err(2));
            assert_eq!(fail(&other, "10.0.0.1", "bob", NOW).await, Err(60));
            assert_eq!(other.admit_registration(Some("10.0.0.1"), NOW).await.unwrap(), Err(60));
        };
        tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
        held.commit().await.unwrap();
        assert_eq!(fail(&other, "10.0.0.2", "bob", NOW).await, Ok(()));
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
            limits.decide(&["other"], at(20), keep).await.unwrap().unwrap();
        }
        assert_eq!(limits.decide(&["old"], NOW, read).await.unwrap(), Err(vec![String::new()]));
    }
}

#[tokio::test]
async fn who_writes_what_is_no_text_into_a_header_is_not_taken_for_the_proxy() {
    let (rate, proxies) = ("1/minute".parse().unwrap(), "127.0.0.1".parse().unwrap());
    let options = Options { sign_in_rate: Some(rate), trusted_proxies: proxies, ..Options::default() };
    let app = TestApp::start(Stage::sqlite().await, options).await;
    let status = async |name: &str, forwarded: &[u8]| {
        let body = json!({"email": name, "password": "not-the-password"});
        let request = app.request(Method::POST, "/api/v1/users/login").json(&body);
        let request = request.header("x-forwarded-for", HeaderValue::from_bytes(forwarded).unwrap());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("ann@example.com", b"\xff\xfe, 192.0.2.1").await, 401);
    assert_eq!(status("bob@example.com", b"m\xc3\xbcll, 192.0.2.2").await, 401);
    assert_eq!(status("cat@example.com", b"192.0.2.1").await, 429);
    assert_eq!(status("cat@example.com", b"\xff, 192.0.2.2").await, 429);
}
