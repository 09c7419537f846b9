//! Replies that end, on whatever day, and the rows that they make.

use domain::Timestamp;
use domain::chat::Usage;
use domain::chat::message::MessageEvent;
use domain::chat::reply::{FinishReason, Interruption, Said};
use domain::ids::{MessageId, UserId};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store::{Append, Db, Log, NewEvent, fresh_id, on};
use tests::Dice;
use uuid::Uuid;

pub const DAY: i64 = 86_400;

pub fn id(number: u128) -> UserId {
    Uuid::from_u128(number).into()
}

pub fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(seconds)
}

pub const fn cost(prompt_tokens: u32, completion_tokens: u32, cost_micros: Option<u64>) -> Usage {
    Usage { prompt_tokens, completion_tokens, estimated: false, cost_micros }
}

fn said(model: &str, usage: Usage) -> Said {
    Said { text: "some words".to_owned(), model: model.to_owned(), usage }
}

pub fn given(owner: u128, model: &str) -> MessageEvent {
    let (text, model) = ("hello".to_owned(), model.to_owned());
    MessageEvent::ReplyGiven { conversation: fresh_id(), owner: id(owner), to: fresh_id(), text, model }
}

pub fn completed(owner: u128, model: &str, usage: Usage) -> MessageEvent {
    MessageEvent::ReplyCompleted { owner: Some(id(owner)), said: said(model, usage), finish: FinishReason::Length }
}

/// As the first version was.
pub fn completed_of_old(model: &str) -> MessageEvent {
    MessageEvent::ReplyCompleted { owner: None, said: said(model, Usage::default()), finish: FinishReason::Stop }
}

pub fn stopped(owner: u128, model: &str, usage: Usage) -> MessageEvent {
    MessageEvent::ReplyStopped { owner: id(owner), said: said(model, usage) }
}

pub fn interrupted(owner: u128, model: &str, usage: Usage, reason: Interruption) -> MessageEvent {
    let said = said(model, usage);
    MessageEvent::ReplyInterrupted { owner: id(owner), said, reason, retry_after_seconds: None }
}

/// Writes an event of a reply, by the clock of whichever node it was.
pub async fn write(log: &Log, at: Timestamp, event: &MessageEvent) {
    write_to(log, at, (fresh_id(), 1), event, json!({"request_id": "test"})).await;
}

/// The same in a stream, at a place of it.
pub async fn write_to(
    log: &Log,
    at: Timestamp,
    (id, sequence): (MessageId, i64),
    event: &MessageEvent,
    metadata: Value,
) {
    let event = NewEvent {
        stream_type: "message",
        stream_id: id.to_string(),
        sequence,
        event_type: event.name(),
        event_version: event.version(),
        payload: to_raw_value(event).unwrap(),
    };
    let metadata = to_raw_value(&metadata).unwrap();
    log.append(Append { events: vec![event], guards: Vec::new(), metadata, recorded_at: at }).await.unwrap();
}

/// Some people's replies of a week, a bit different each time, and not quite in the order of their times.
pub async fn tell(log: &Log, people: usize, events: u32) {
    let mut dice = Dice::cast();
    for _ in 0..events {
        let owner = 1 + dice.below(people) as u128;
        let model = ["rules", "open_ai/gpt", "groq/llama"][dice.below(3)];
        let number = |below: usize, dice: &mut Dice| u32::try_from(dice.below(below)).unwrap();
        let (prompt, completion) = (number(5_000, &mut dice), number(500, &mut dice));
        let price = [None, Some(0), Some(u64::from(completion))][dice.below(3)];
        let usage = Usage { estimated: dice.below(4) == 0, ..cost(prompt, completion, price) };
        let event = match dice.below(6) {
            0 => given(owner, model),
            1 => stopped(owner, model, usage),
            2 => interrupted(owner, model, usage, Interruption::TimedOut),
            3 => completed_of_old(model),
            _ => completed(owner, model, usage),
        };
        let at = moment(i64::from(number(7, &mut dice)) * DAY + i64::from(number(86_400, &mut dice)));
        write(log, at, &event).await;
    }
}

/// Every row of the read model, in the order of its keys.
pub async fn dump(db: &Db) -> Vec<String> {
    let columns = "owner, day, model, replies, completed, stopped, interrupted, prompt_tokens, completion_tokens, \
                   estimated, cost_micros";
    let cell = |column| match db {
        Db::Sqlite(_) => format!("quote({column})"),
        Db::Postgres(_) => format!("coalesce(cast({column} as text), '-')"),
    };
    let row: Vec<_> = columns.split(", ").map(cell).collect();
    let sql = format!("select {} from usage_days order by 1", row.join(" || ' | ' || "));
    on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).expect("the rows")
}
