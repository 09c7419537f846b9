//! What was spent with which key: who asks for a reply says so, its end does not.

use domain::chat::message::MessageEvent;
use domain::chat::reply::{Asked, Interruption, ReplyTo};
use domain::ids::{ApiKeyId, MessageId};
use domain::limit::{Amount, Known};
use projections::Usage;
use projections::usage::{Payer, known};
use projector::rebuild;
use serde_json::json;
use store::{Db, Log, ReadModel, fresh_id, on};
use tests::{Dice, Stage, on_both_engines};
use uuid::Uuid;

use crate::cast::{DAY, completed, cost, id, interrupted, moment, stopped, write_to};
use crate::{apply, empty, open};

fn key(number: u128) -> ApiKeyId {
    Uuid::from_u128(number).into()
}

/// Somebody asks for a reply, with a key or without.
async fn ask(log: &Log, at: i64, with: Option<u128>) -> MessageId {
    let reply = ReplyTo { conversation: fresh_id(), owner: id(1), to: fresh_id() };
    let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
    let metadata = match with {
        Some(number) => json!({"request_id": "test", "key": key(number)}),
        None => json!({"request_id": "test"}),
    };
    let message = fresh_id();
    write_to(log, moment(at), (message, 1), &MessageEvent::ReplyRequested { reply, asked }, metadata).await;
    message
}

/// It ends, by whoever makes it.
async fn end(log: &Log, at: i64, reply: MessageId, event: &MessageEvent) {
    write_to(log, moment(at), (reply, 2), event, json!({"request_id": "test"})).await;
}

/// What a key has spent that day, and that month.
async fn spent(live: &ReadModel, number: u128, at: i64) -> (u64, u64, u64) {
    let Known { today, this_month, .. } = known(live.db(), Payer::Key(key(number)), moment(at)).await.unwrap();
    (today.tokens, today.micros, this_month.tokens)
}

/// Every row, in order.
async fn dump(db: &Db) -> Vec<String> {
    let cell = |column: &str| match db {
        Db::Sqlite(_) => format!("quote({column})"),
        Db::Postgres(_) => format!("cast({column} as text)"),
    };
    let row = |columns: &str| columns.split(", ").map(cell).collect::<Vec<_>>().join(" || ' | ' || ");
    let days = row("api_key, day, prompt_tokens, completion_tokens, cost_micros");
    let sql = format!(
        "select {days} from usage_key_days union all select {} from usage_asked order by 1",
        row("reply, api_key")
    );
    on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).unwrap()
}

on_both_engines! {
    async fn a_reply_counts_for_the_key_that_asked_for_it_on_the_day_of_its_end(stage: Stage) {
        let (live, log) = (open(&stage).await, &stage.log);
        let (one, two, none) = (ask(log, 10, Some(1)).await, ask(log, 10, Some(2)).await, ask(log, 10, None).await);
        let (late, gone) = (ask(log, 10, Some(1)).await, ask(log, 10, Some(1)).await);
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await.len(), 4, "whoever asks with no key is not remembered");
        end(log, 20, one, &completed(1, "m", cost(10, 20, Some(300)))).await;
        end(log, 20, two, &stopped(1, "m", cost(1, 2, None))).await;
        end(log, 20, none, &completed(1, "m", cost(5, 5, Some(5)))).await;
        end(log, DAY, late, &interrupted(1, "m", cost(3, 4, Some(7)), Interruption::Truncated)).await;
        end(log, DAY, gone, &MessageEvent::MessageDeleted { owner: id(1), conversation: fresh_id() }).await;
        stage.settle(&live).await;
        assert_eq!((spent(&live, 1, 30).await, spent(&live, 1, DAY).await), ((30, 300, 30), (7, 7, 37)));
        assert_eq!(spent(&live, 1, 31 * DAY).await, (0, 0, 0), "another month");
        assert_eq!((spent(&live, 2, 30).await, spent(&live, 3, 30).await), ((3, 0, 3), (0, 0, 0)));
        assert_eq!(dump(live.db()).await.len(), 3, "and nothing is remembered of what is over");
        let user = known(live.db(), Payer::User(id(1)), moment(DAY)).await.unwrap();
        let of = |tokens, micros| Amount { tokens, micros };
        let position = log.head().await.unwrap().get();
        assert_eq!(user, Known { day: 1, position, today: of(7, 7), this_month: of(50, 312) });
    }

    async fn live_rebuilt_and_in_batches_of_any_size_they_are_the_same(stage: Stage) {
        let (live, log, mut dice) = (open(&stage).await, &stage.log, Dice::cast());
        let mut open = Vec::new();
        for second in 0..300 {
            if dice.below(2) == 0 || open.is_empty() {
                let with = [None, Some(1), Some(2)][dice.below(3)];
                open.push(ask(log, second, with).await);
                continue;
            }
            let (at, reply) = (i64::try_from(dice.below(3)).unwrap() * DAY, open.swap_remove(dice.below(open.len())));
            let event = match dice.below(4) {
                0 => MessageEvent::MessageDeleted { owner: id(1), conversation: fresh_id() },
                1 => stopped(1, "m", cost(1, 2, Some(u64::MAX))),
                _ => completed(1, "m", cost(10, 20, Some(3))),
            };
            end(log, at, reply, &event).await;
            if dice.below(4) == 0 {
                let deleted = MessageEvent::MessageDeleted { owner: id(1), conversation: fresh_id() };
                write_to(log, moment(at + DAY), (reply, 3), &deleted, json!({"request_id": "test"})).await;
            }
        }
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() >= 6, "little is left to compare");
        rebuild::<Usage>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, before);
    }

    async fn batches_of_any_size_say_the_same_of_keys(stage: Stage) {
        let (live, log) = (stage.usage().await, &stage.log);
        for number in 0..40_u32 {
            let reply = ask(log, 1, Some(u128::from(number % 3))).await;
            if number % 5 > 0 {
                end(log, i64::from(number % 2) * DAY, reply, &completed(1, "m", cost(number, 1, Some(number.into())))).await;
            }
        }
        let mut dumps = Vec::new();
        for size in [1, 7, 100] {
            apply(&stage, &live, size).await;
            dumps.push(dump(live.db()).await);
            empty(&live).await;
        }
        assert_eq!(dumps[0].len(), 6 + 8);
        assert!(dumps.iter().all(|dump| *dump == dumps[0]));
    }
}
