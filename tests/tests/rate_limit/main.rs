//! The read model of what limits count: each answer that is asked for, each refusal; live equal to rebuilt; over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's words are its panics"
)]

mod cast;
mod http;
mod turns;

use domain::Timestamp;
use domain::token::notice::LimitKind;
use projections::rate_limit::{self, Minute, Subject};
use projections::{Change, Projection, RateLimit};
use projector::rebuild;
use store::{Position, ReadModel};
use tests::scribe::Scribe;
use tests::{Stage, on_both_engines};

use crate::cast::{MINUTE, dump, given, id, moment, reached, requested, tell, write};

async fn open(stage: &Stage) -> ReadModel {
    let live = stage.rate_limit().await;
    stage.relay();
    stage.project_as::<RateLimit>(&live);
    live
}

fn user(number: u128) -> Subject {
    Subject::User(id(number))
}

async fn minutes(model: &ReadModel, subject: Subject) -> Vec<Minute> {
    rate_limit::minutes(model.db(), subject, i64::MIN, i64::MAX, 1_000).await.unwrap()
}

/// A minute, and when the newest that was admitted in it came, in seconds.
fn minute(minute: i64, admitted: i64, refused: i64, last: Option<i64>) -> Minute {
    Minute { minute, admitted, refused, last_at: last.map(moment) }
}

/// Applies the whole log, so many events at a time.
async fn apply(stage: &Stage, model: &ReadModel, size: usize) {
    let events = stage.log.read(Position::START, 10_000).await.unwrap();
    let changes: Vec<Change> = events.iter().map(|event| Change::try_from(event).unwrap()).collect();
    for chunk in changes.chunks(size) {
        let mut batch = model.begin().await.unwrap();
        RateLimit::apply(&mut batch.tx, chunk).await.unwrap();
        batch.commit(chunk.last().unwrap().position).await.unwrap();
    }
}

async fn empty(model: &ReadModel) {
    let mut batch = model.begin().await.unwrap();
    let delete = "delete from limit_minutes";
    store::on_tx!(&mut batch.tx, connection => sqlx::query(delete).execute(connection).await.map(|_| ())).unwrap();
    batch.commit(Position::START).await.unwrap();
}

on_both_engines! {
    async fn each_answer_that_is_asked_for_counts_for_its_owner_and_the_service(stage: Stage) {
        let live = open(&stage).await;
        for (at, event) in [
            (10, requested(1)),
            (59, given(1)),
            (50, requested(1)),
            (30, given(2)),
            (MINUTE, requested(2)),
            (3 * MINUTE + 7, given(1)),
        ] {
            write(&stage.log, moment(at), &event).await;
        }
        stage.settle(&live).await;
        let late = 3 * MINUTE + 7;
        assert_eq!(minutes(&live, user(1)).await, [minute(0, 3, 0, Some(59)), minute(3, 1, 0, Some(late))]);
        assert_eq!(minutes(&live, user(2)).await, [minute(0, 1, 0, Some(30)), minute(1, 1, 0, Some(MINUTE))]);
        let all = [minute(0, 4, 0, Some(59)), minute(1, 1, 0, Some(MINUTE)), minute(3, 1, 0, Some(late))];
        assert_eq!(minutes(&live, Subject::Service).await, all);
        assert_eq!(minutes(&live, user(3)).await, []);
    }

    async fn a_refusal_counts_where_its_limit_does(stage: Stage) {
        let live = open(&stage).await;
        for (limit, user, refused) in [
            (LimitKind::User, Some(1), 1),
            (LimitKind::User, Some(1), 20),
            (LimitKind::Budget, Some(1), 300),
            (LimitKind::Service, Some(1), 4_000),
            (LimitKind::Service, None, u32::MAX),
            // Nobody is known, or nobody is meant.
            (LimitKind::User, None, 5),
            (LimitKind::Budget, None, 5),
            (LimitKind::Address, Some(1), 5),
            (LimitKind::SignIn, Some(1), 5),
            (LimitKind::Registration, Some(1), 5),
        ] {
            write(&stage.log, moment(61), &reached(limit, user, refused)).await;
        }
        stage.settle(&live).await;
        assert_eq!(minutes(&live, user(1)).await, [minute(1, 0, 321, None)]);
        assert_eq!(minutes(&live, Subject::Service).await, [minute(1, 0, 4_000 + i64::from(u32::MAX), None)]);
        assert_eq!(dump(live.db()).await.len(), 2, "and nobody else has a row");
    }

    async fn what_asks_for_no_answer_leaves_nothing(stage: Stage) {
        let live = open(&stage).await;
        let mut scribe = Scribe::new(&stage.log);
        let ann = store::fresh_id();
        let room = scribe.start(ann).await;
        let message = scribe.post(ann, room, "hello").await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await, [""; 0]);
        let reply = scribe.request(ann, room, message).await;
        stage.settle(&live).await;
        let asked = dump(live.db()).await;
        assert_eq!(asked.len(), 2, "ann's and the service's");
        scribe.complete(reply, "its end is nothing new").await;
        let elsewhere = tests::events::imported(store::fresh_id(), room, ann, "a reply from elsewhere", true);
        scribe.say(elsewhere).await;
        scribe.say(tests::events::message_deleted(reply, room, ann)).await;
        scribe.delete(ann, room).await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await, asked);
    }

    async fn a_minute_begins_with_its_first_microsecond(stage: Stage) {
        let live = open(&stage).await;
        let minute = MINUTE * 1_000_000;
        for micros in [-1, 0, 1, minute - 1, minute, 2 * minute - 1, -minute, -minute - 1] {
            write(&stage.log, Timestamp::from_micros(micros), &given(1)).await;
        }
        stage.settle(&live).await;
        let seen: Vec<_> = minutes(&live, user(1)).await.iter().map(|row| (row.minute, row.admitted)).collect();
        assert_eq!(seen, [(-2, 1), (-1, 2), (0, 3), (1, 2)]);
    }

    async fn minutes_are_asked_for_from_one_to_another(stage: Stage) {
        let live = open(&stage).await;
        for number in 0..10 {
            write(&stage.log, moment(number * MINUTE), &given(1)).await;
        }
        write(&stage.log, moment(4 * MINUTE), &given(2)).await;
        stage.settle(&live).await;
        let ask = async |subject, first, last, limit| {
            let rows = rate_limit::minutes(live.db(), subject, first, last, limit).await.unwrap();
            rows.iter().map(|row| (row.minute, row.admitted)).collect::<Vec<_>>()
        };
        assert_eq!(ask(user(1), 3, 5, 100).await, [(3, 1), (4, 1), (5, 1)], "both ends are in");
        assert_eq!(ask(Subject::Service, 3, 5, 100).await, [(3, 1), (4, 2), (5, 1)]);
        assert_eq!(ask(user(1), 3, 9, 2).await, [(3, 1), (4, 1)]);
        assert_eq!(ask(user(1), 5, 4, 100).await, []);
    }

    async fn a_lost_window_is_filled_with_all_that_was_admitted_since(stage: Stage) {
        let live = open(&stage).await;
        for (at, event) in [
            (5, requested(1)),
            (58, given(1)),
            (20, given(2)),
            (63, requested(1)),
            (61, requested(1)),
            (125, reached(LimitKind::User, Some(1), 7)),
            (185, given(1)),
        ] {
            write(&stage.log, moment(at), &event).await;
        }
        stage.settle(&live).await;
        let since = async |subject, seconds| {
            let rows = rate_limit::admitted(live.db(), subject, moment(seconds)).await.unwrap();
            rows.into_iter().map(|(at, count)| (at.as_seconds(), count)).collect::<Vec<_>>()
        };
        let all = [(58, 2), (63, 2), (185, 1)];
        for (seconds, expected) in [(-600, &all[..]), (5, &all), (57, &all), (58, &all[1..]), (62, &all[1..]), (63, &all[2..])] {
            assert_eq!(since(user(1), seconds).await, expected, "since {seconds}");
        }
        assert_eq!(since(user(1), 185).await, []);
        assert_eq!(since(user(2), 0).await, [(20, 1)]);
        assert_eq!(since(Subject::Service, 19).await, [(58, 3), (63, 2), (185, 1)]);
        let just_before = Timestamp::from_micros(moment(185).as_micros() - 1);
        assert_eq!(rate_limit::admitted(live.db(), user(1), just_before).await.unwrap(), [(moment(185), 1)]);
    }

    async fn the_newest_stays_the_newest_in_whatever_order_they_come(stage: Stage) {
        let live = stage.rate_limit().await;
        let refused = || reached(LimitKind::User, Some(1), 2);
        let told = [(2, refused()), (30, given(1)), (40, refused()), (50, given(1)), (10, given(1)), (55, refused())];
        for (at, event) in told {
            write(&stage.log, moment(at), &event).await;
        }
        for size in [1, 2, 3, 6] {
            apply(&stage, &live, size).await;
            assert_eq!(minutes(&live, user(1)).await, [minute(0, 3, 6, Some(50))], "{size} at a time");
            assert_eq!(minutes(&live, Subject::Service).await, [minute(0, 3, 0, Some(50))], "{size} at a time");
            empty(&live).await;
        }
    }

    async fn live_and_rebuilt_are_equal(stage: Stage) {
        let live = open(&stage).await;
        tell(&stage.log, 3, 300).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 30, "little is left to compare");
        rebuild::<RateLimit>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, before);
        write(&stage.log, moment(99 * MINUTE), &given(1)).await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await.len(), before.len() + 2, "life goes on");
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.rate_limit().await;
        tell(&stage.log, 3, 200).await;
        let mut dumps = Vec::new();
        for size in [1, 7, 200] {
            apply(&stage, &live, size).await;
            dumps.push(dump(live.db()).await);
            empty(&live).await;
        }
        assert!(dumps[0].len() > 30);
        assert_eq!(dumps[0], dumps[1]);
        assert_eq!(dumps[0], dumps[2]);
    }
}
