//! The read model of what replies cost: each ending counted once, on its day; live equal to rebuilt; over HTTP.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod cast;
mod http;
mod keys;

use domain::chat::Usage as Cost;
use domain::chat::reply::Interruption;
use projections::usage::{Days, ModelDay, Sums, days};
use projections::{Change, Projection, Usage};
use projector::rebuild;
use store::{Position, ReadModel};
use tests::scribe::Scribe;
use tests::{Stage, on_both_engines};

use crate::cast::{DAY, completed, completed_of_old, cost, dump, given, id, interrupted, moment, stopped, tell, write};

const EVER: Days = Days { first: i64::MIN, last: i64::MAX };

async fn open(stage: &Stage) -> ReadModel {
    let live = stage.usage().await;
    stage.relay();
    stage.project_as::<Usage>(&live);
    live
}

async fn rows(model: &ReadModel, owner: u128, among: Days) -> Vec<ModelDay> {
    days(model.db(), id(owner), among, 1_000).await.unwrap()
}

/// Applies the whole log, so many events at a time.
async fn apply(stage: &Stage, model: &ReadModel, size: usize) {
    let events = stage.log.read(Position::START, 10_000).await.unwrap();
    let changes: Vec<Change> = events.iter().map(|event| Change::try_from(event).unwrap()).collect();
    for chunk in changes.chunks(size) {
        let mut batch = model.begin().await.unwrap();
        Usage::apply(&mut batch.tx, chunk).await.unwrap();
        batch.commit(chunk.last().unwrap().position).await.unwrap();
    }
}

async fn empty(model: &ReadModel) {
    let mut batch = model.begin().await.unwrap();
    for table in ["usage_days", "usage_key_days", "usage_asked"] {
        let delete = format!("delete from {table}");
        store::on_tx!(&mut batch.tx, connection => sqlx::query(&delete).execute(connection).await.map(|_| ())).unwrap();
    }
    batch.commit(Position::START).await.unwrap();
}

on_both_engines! {
    async fn each_ending_counts_once_with_what_it_cost(stage: Stage) {
        let live = open(&stage).await;
        let estimated = Cost { estimated: true, ..cost(5, 6, Some(50)) };
        for (at, event) in [
            (10, given(1, "rules")),
            (11, given(1, "rules")),
            (12, completed(1, "open_ai/gpt", cost(10, 20, Some(300)))),
            (13, stopped(1, "open_ai/gpt", estimated)),
            (14, interrupted(1, "open_ai/gpt", cost(7, 0, None), Interruption::Truncated)),
            (15, interrupted(1, "groq/llama", cost(1, 0, None), Interruption::RateLimited)),
            (16 + DAY, completed(1, "open_ai/gpt", cost(1, 2, Some(0)))),
        ] {
            write(&stage.log, moment(at), &event).await;
        }
        stage.settle(&live).await;
        let none = Sums::default();
        let row = |day, model: &str, sums| ModelDay { day, model: model.to_owned(), sums };
        let gpt = Sums {
            replies: 3, completed: 1, stopped: 1, interrupted: 1, prompt_tokens: 22, completion_tokens: 26, estimated: 1,
            cost_micros: Some(350),
        };
        let later = Sums { replies: 1, completed: 1, prompt_tokens: 1, completion_tokens: 2, cost_micros: Some(0), ..none };
        assert_eq!(rows(&live, 1, EVER).await, [
            row(1, "open_ai/gpt", later),
            row(0, "groq/llama", Sums { replies: 1, interrupted: 1, prompt_tokens: 1, ..none }),
            row(0, "open_ai/gpt", gpt),
            row(0, "rules", Sums { replies: 2, completed: 2, ..none }),
        ]);
    }

    async fn what_is_no_end_of_somebodys_reply_leaves_nothing(stage: Stage) {
        let live = open(&stage).await;
        let mut scribe = Scribe::new(&stage.log);
        let ann = store::fresh_id();
        let room = scribe.start(ann).await;
        let message = scribe.post(ann, room, "hello").await;
        let reply = scribe.request(ann, room, message).await;
        scribe.complete(reply, "of the first version, which names nobody").await;
        scribe.delete(ann, room).await;
        write(&stage.log, moment(1), &completed_of_old("rules")).await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await, [""; 0]);
    }

    async fn a_day_ends_at_midnight_utc(stage: Stage) {
        let live = open(&stage).await;
        let second = 1_000_000;
        for micros in [-1, 0, 1, DAY * second - 1, DAY * second, 2 * DAY * second - 1, -DAY * second, -DAY * second - 1] {
            write(&stage.log, domain::Timestamp::from_micros(micros), &given(1, "rules")).await;
        }
        stage.settle(&live).await;
        let seen: Vec<_> = rows(&live, 1, EVER).await.iter().map(|row| (row.day, row.sums.replies)).collect();
        assert_eq!(seen, [(1, 2), (0, 3), (-1, 2), (-2, 1)]);
    }

    async fn everybody_has_their_own_days_and_no_others(stage: Stage) {
        let live = open(&stage).await;
        for day in 0..10 {
            for (owner, times) in [(1, 1), (2, 2)] {
                for _ in 0..times {
                    write(&stage.log, moment(day * DAY), &completed(owner, "m", cost(1, 1, None))).await;
                }
            }
        }
        stage.settle(&live).await;
        for (owner, times) in [(1, 1), (2, 2)] {
            let some = rows(&live, owner, Days { first: 3, last: 5 }).await;
            let seen: Vec<_> = some.iter().map(|row| (row.day, row.sums.replies)).collect();
            assert_eq!(seen, [(5, times), (4, times), (3, times)], "both ends are in");
        }
        assert_eq!(rows(&live, 3, EVER).await, []);
        assert_eq!(rows(&live, 1, Days { first: 5, last: 4 }).await, []);
        assert_eq!(days(live.db(), id(1), EVER, 4).await.unwrap().len(), 4);
    }

    async fn sums_stay_in_their_range(stage: Stage) {
        let live = stage.usage().await;
        for micros in [u64::MAX, 1, i64::MAX as u64] {
            let much = cost(u32::MAX, u32::MAX, Some(micros));
            write(&stage.log, moment(1), &completed(1, "dear", much)).await;
        }
        let most = 3 * i64::from(u32::MAX);
        let expected = Sums {
            replies: 3, completed: 3, prompt_tokens: most, completion_tokens: most, cost_micros: Some(i64::MAX),
            ..Sums::default()
        };
        for size in [1, 2, 3] {
            apply(&stage, &live, size).await;
            assert_eq!(rows(&live, 1, EVER).await[0].sums, expected, "{size} at a time");
            empty(&live).await;
        }
    }

    async fn a_price_that_comes_or_goes_is_summed_where_it_is_known(stage: Stage) {
        let live = stage.usage().await;
        for micros in [None, Some(3), None, Some(4), None] {
            write(&stage.log, moment(1), &completed(1, "m", cost(0, 0, micros))).await;
        }
        for size in [1, 2, 5] {
            apply(&stage, &live, size).await;
            assert_eq!(rows(&live, 1, EVER).await[0].sums.cost_micros, Some(7), "{size} at a time");
            empty(&live).await;
        }
    }

    async fn whatever_a_provider_calls_its_model_has_a_row(stage: Stage) {
        let live = open(&stage).await;
        // Noise, so that no index can pack it.
        let noise: String = (0..200).map(|_| store::fresh_id::<uuid::Uuid>().to_string()).collect();
        for model in ["", "b", "B", "é", "_", &noise, "b\0c"] {
            write(&stage.log, moment(1), &given(1, model)).await;
        }
        stage.settle(&live).await;
        let seen: Vec<_> = rows(&live, 1, EVER).await.into_iter().map(|row| (row.model, row.sums.replies)).collect();
        let mut expected = [("", 1), ("B", 1), ("_", 1), ("b", 2), ("é", 1), (&noise[..200], 1)];
        expected.sort_unstable();
        assert_eq!(seen, expected.map(|(model, replies)| (model.to_owned(), replies)), "in the same order on each engine");
    }

    async fn live_and_rebuilt_are_equal(stage: Stage) {
        let live = open(&stage).await;
        tell(&stage.log, 3, 300).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 30, "little is left to compare");
        rebuild::<Usage>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, before);
        write(&stage.log, moment(99 * DAY), &given(1, "rules")).await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await.len(), before.len() + 1, "life goes on");
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.usage().await;
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
