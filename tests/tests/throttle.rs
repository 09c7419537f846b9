//! How often one may try to sign in: one answer of all nodes, on both engines.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use std::time::Duration;

use api::{Admission, Guess, Throttle, Ticket};
use domain::Timestamp;
use domain::ids::UserId;
use domain::limit::{Backoff, Rate, Window};
use futures::future::join_all;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;
use store::limits::{Limits, States};
use store::{Clock, Db, Tx};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

const SECRET: &[u8] = b"a secret that is good for tests alone";
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const DAY: i64 = 86_400;

async fn limits(db: &Db) -> Limits {
    Limits::open(db, Clock::manual(NOW)).await.unwrap()
}

async fn throttle(db: &Db, rate: &str) -> Throttle {
    Throttle::new(limits(db).await, Some(rate.parse::<Rate>().unwrap()), SECRET)
}

/// Where there is no limit.
async fn off(db: &Db) -> Throttle {
    Throttle::new(limits(db).await, None, SECRET)
}

/// Two nodes on one database.
async fn nodes(stage: &Stage, rate: &str) -> [Throttle; 2] {
    [throttle(stage.log.db(), rate).await, throttle(&stage.another_db(), rate).await]
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

/// Tries, and fails; how long to wait where it was not admitted.
async fn fail<'a>(throttle: &Throttle, ip: &str, guess: impl Into<Guess<'a>>, now: Timestamp) -> Result<(), u32> {
    match throttle.admit(Some(ip), guess, now).await.unwrap() {
        Admission::Admitted(_) => Ok(()),
        Admission::Refused { retry_after_seconds, .. } => Err(retry_after_seconds),
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

fn owned<const N: usize>(keys: [&str; N]) -> Vec<String> {
    keys.map(str::to_owned).to_vec()
}

fn add(states: &mut States<'_>, place: usize, more: &str, until: Timestamp) {
    let before: String = states.get(place);
    states.keep(place, before + more, until);
}

async fn read<const N: usize>(limits: &Limits, keys: [&str; N]) -> Vec<String> {
    limits.look(&owned(keys), |states| (0..N).map(|place| states.get(place)).collect()).await.unwrap()
}

on_both_engines! {
    async fn an_address_has_its_rate_over_all_nodes_however_many_try_at_once(stage: Stage) {
        let nodes = nodes(&stage, "10/minute").await;
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
        let nodes = nodes(&stage, "1000/minute").await;
        let ips: Vec<String> = (1..=40).map(|number| format!("10.0.0.{number}")).collect();
        let attempts = ips.iter().zip(nodes.iter().cycle()).map(|(ip, node)| fail(node, ip, "ann@example.org", NOW));
        let outcomes = join_all(attempts).await;
        // Five that are free, and the one after which one waits.
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 6);
        assert!(outcomes.iter().filter_map(|outcome| outcome.err()).all(|wait| wait == 2));
    }

    async fn each_wait_is_twice_the_one_before_up_to_a_quarter_of_an_hour(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute").await;
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
        let [one, other] = nodes(&stage, "1000/minute").await;
        for _ in 0..3 {
            for _ in 0..Backoff::FREE {
                assert_eq!(fail(&one, "10.0.0.1", "ann", NOW).await, Ok(()));
            }
            succeed(&other, "10.0.0.1", "ann", NOW).await;
        }
    }

    async fn a_stranger_locks_nobody_out_of_an_address_that_they_have_signed_in_from(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute").await;
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
        let [one, _] = nodes(&stage, "1000/minute").await;
        succeed(&one, "10.0.0.1", "ann", NOW).await;
        for (days, known) in [(29, true), (30, false)] {
            lock_out(&one, "10.9.9.9", "ann", at(days * DAY)).await;
            assert_eq!(fail(&one, "10.0.0.1", "ann", at(days * DAY)).await.is_ok(), known);
        }
    }

    async fn what_is_refused_counts_nowhere(stage: Stage) {
        let [one, _] = nodes(&stage, "7/minute").await;
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
        let [one, _] = nodes(&stage, "1/minute").await;
        for _ in 0..=Backoff::FREE {
            assert!(matches!(one.admit(None, "ann", NOW).await.unwrap(), Admission::Admitted(_)));
        }
        let refused = one.admit(None, "ann", NOW).await.unwrap();
        assert!(matches!(refused, Admission::Refused { retry_after_seconds: 2, most: 5, used: 6 }));
    }

    async fn guesses_at_an_account_and_under_a_name_that_reads_like_its_id_count_apart(stage: Stage) {
        let [one, other] = nodes(&stage, "1000/minute").await;
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
        let [one, other] = nodes(&stage, "20/minute").await;
        for _ in 0..8 {
            let ticket = begin(&one, "10.0.0.1", "ann", NOW).await;
            other.withdraw(ticket).await.unwrap();
        }
        lock_out(&one, "10.0.0.1", "ann", NOW).await;
        // Nor does one wait for what was withdrawn when it would have cost a wait.
        for _ in 0..3 {
            let ticket = begin(&one, "10.0.0.1", "ann", at(2)).await;
            assert_eq!(fail(&one, "10.0.0.1", "ann", at(2)).await, Err(4));
            one.withdraw(ticket).await.unwrap();
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
        let [one, other] = nodes(&stage, "1000/minute").await;
        let ticket = begin(&one, "10.0.0.1", "ann", NOW).await;
        succeed(&other, "10.0.0.1", "ann", NOW).await;
        one.withdraw(ticket).await.unwrap();
        lock_out(&other, "10.0.0.2", "ann", NOW).await;
        let off = off(&stage.another_db()).await;
        off.withdraw(begin(&off, "10.0.0.2", "ann", NOW).await).await.unwrap();
        assert_eq!(fail(&other, "10.0.0.2", "ann", NOW).await, Err(2));
    }

    async fn an_address_registers_at_its_rate_over_all_nodes_and_signs_in_apart(stage: Stage) {
        let nodes = nodes(&stage, "3/minute").await;
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
        let off = off(&stage.another_db()).await;
        for _ in 0..9 {
            assert_eq!(register(&one, None, NOW).await, Ok(()));
            assert_eq!(register(&off, Some("10.0.0.1"), NOW).await, Ok(()));
        }
    }

    async fn who_is_refused_waits_for_nobody_and_writes_nothing(stage: Stage) {
        let [one, other] = nodes(&stage, "6/minute").await;
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
        let off = off(stage.log.db()).await;
        for _ in 0..100 {
            assert_eq!(fail(&off, "10.0.0.1", "ann", NOW).await, Ok(()));
        }
        succeed(&off, "10.0.0.1", "ann", NOW).await;
        assert_eq!(off.identifier(" Ann "), throttle(&stage.another_db(), "1").await.identifier("ann"));
        assert_eq!(off.identifier("ann").len(), 32);
        assert_ne!(off.identifier("ann"), off.identifier("bob"));
        assert_ne!(off.identifier("ann"), Throttle::new(limits(&stage.another_db()).await, None, b"another").identifier("ann"));
        assert!(!limits(&stage.another_db()).await.knows(&off.identifier("ann"), "10.0.0.1", NOW).await.unwrap());
    }

    async fn decisions_on_the_same_limits_lose_nothing_whatever_their_order(stage: Stage) {
        let nodes = stage.limits_of_nodes(4, &Clock::manual(NOW)).await;
        let decisions = (0..80).zip(nodes.iter().cycle()).map(|(number, node)| {
            let keys = if number % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            node.decide(owned(keys), |states| (0..2).for_each(|place| add(states, place, "x", at(60))))
        });
        assert!(join_all(decisions).await.into_iter().all(|decided| decided.is_ok()));
        assert_eq!(read(nodes.first().unwrap(), ["b", "a"]).await, ["x".repeat(80), "x".repeat(80)]);
    }

    async fn what_one_rule_keeps_the_next_one_reads_and_what_none_keeps_is_not(stage: Stage) {
        let limits = limits(&stage.another_db()).await;
        let counts = (0..50).map(|number| {
            limits.decide(owned(["a", "b"]), move |states| {
                let before: String = states.get(0);
                states.keep(0, format!("{before}x"), at(60));
                assert_eq!(states.get::<String>(0).len(), before.len() + 1);
                if number % 2 == 0 {
                    add(states, 1, "y", at(60));
                }
                before.len()
            })
        });
        let counts: Vec<usize> = join_all(counts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(counts, (0..50).collect::<Vec<_>>(), "in the order in which they came");
        assert_eq!(read(&limits, ["a", "b"]).await, ["x".repeat(50), "y".repeat(25)]);
    }

    async fn what_has_expired_is_forgotten_and_nothing_else(stage: Stage) {
        let limits = limits(&stage.another_db()).await;
        limits.decide(owned(["old", "new"]), |states| {
            add(states, 0, "x", at(30));
            add(states, 1, "x", at(31));
        }).await.unwrap();
        limits.clear("none", "ann", Some("10.0.0.1"), at(30)).await.unwrap();
        limits.clear("none", "ann", Some("10.0.0.2"), at(31)).await.unwrap();
        limits.forget(at(30)).await.unwrap();
        assert_eq!(read(&limits, ["old", "new"]).await, ["", "x"]);
        assert!(!limits.knows("ann", "10.0.0.1", NOW).await.unwrap());
        assert!(limits.knows("ann", "10.0.0.2", NOW).await.unwrap());
    }

    async fn a_process_forgets_what_has_expired_now_and_then(stage: Stage) {
        let clock = Clock::manual(NOW);
        let limits = Limits::open(&stage.another_db(), clock.clone()).await.unwrap();
        limits.decide(owned(["old"]), |states| add(states, 0, "x", at(30))).await.unwrap();
        assert_eq!(read(&limits, ["old"]).await, ["x"]);
        clock.advance(30);
        for _ in 0..256 {
            limits.decide(owned(["other"]), |states| add(states, 0, "x", at(60))).await.unwrap();
        }
        // Beside these.
        let forgotten = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            while read(&limits, ["old"]).await != [""] {
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), forgotten).await.unwrap();
    }

    async fn a_state_may_be_lost_where_its_table_is_newer(stage: Stage) {
        let limits = limits(&stage.another_db()).await;
        let lost = |since| limits.decide(owned(["old", "new"]), move |states| [0, 1].map(|place| states.may_be_lost(place, since)));
        assert_eq!(lost(at(-1)).await.unwrap(), [true, true]);
        assert_eq!(lost(NOW).await.unwrap(), [false, false], "there was a table then");
        limits.decide(owned(["old"]), |states| add(states, 0, "x", at(10))).await.unwrap();
        assert_eq!(lost(at(-1)).await.unwrap(), [false, true]);
        let keys = owned(["old", "new"]);
        let looked = limits.look(&keys, |states| [0, 1].map(|place| states.may_be_lost(place, at(-1)))).await;
        assert_eq!(looked.unwrap(), [false, true]);
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

// A row that is made again is none that somebody may still know.
#[tokio::test]
async fn what_was_forgotten_and_made_again_elsewhere_is_not_taken_for_what_was() {
    let stage = Stage::postgres_nats().await;
    let clock = Clock::manual(NOW);
    let open = async || Limits::open(&stage.another_db(), clock.clone()).await.unwrap();
    let (one, other) = (open().await, open().await);
    let admit = async |node: &Limits| {
        let decided = node.decide(owned(["ann"]), |states| {
            let (mut window, rate): (Window, Rate) = (states.get(0), "10/minute".parse().unwrap());
            let admitted = window.admit(states.now(), rate);
            let end = window.expires_at(rate);
            states.keep(0, window, end);
            admitted.is_ok()
        });
        decided.await.unwrap()
    };
    for _ in 0..10 {
        assert!(admit(&one).await);
    }
    clock.advance(600);
    other.forget(clock.now()).await.unwrap();
    for _ in 0..10 {
        assert!(admit(&other).await);
    }
    assert!(!admit(&one).await, "it believes in what is no more");
}

// Who holds a limit and stands still is not waited for.
#[tokio::test]
async fn who_holds_a_limit_and_stands_still_is_not_waited_for() {
    let stage = Stage::postgres_nats().await;
    let limits = limits(stage.log.db()).await;
    let decide = || limits.decide(owned(["ann"]), |states| add(states, 0, "x", at(30)));
    decide().await.unwrap();
    let Db::Postgres(postgres) = stage.log.db() else { return };
    let mut held = postgres.pool.begin().await.unwrap();
    sqlx::query("select from limits for update").execute(&mut *held).await.unwrap();
    let begun = std::time::Instant::now();
    assert!(decide().await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(decide().await.is_err(), "nor is anybody else who comes at once");
    held.rollback().await.unwrap();
    let again = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while decide().await.is_err() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
    assert_eq!(read(&limits, ["ann"]).await, ["xx"]);
}
