//! What is asked for and what is refused, at whatever time, and the rows that it makes.

use domain::chat::message::MessageEvent;
use domain::chat::reply::{Asked, ReplyTo};
use domain::ids::UserId;
use domain::token::notice::{LimitKind, NoticeEvent};
use domain::{Event, Timestamp};
use serde_json::json;
use serde_json::value::to_raw_value;
use store::{Append, Db, Log, NewEvent, fresh_id, on};
use tests::Dice;
use uuid::Uuid;

pub const MINUTE: i64 = 60;

pub fn id(number: u128) -> UserId {
    Uuid::from_u128(number).into()
}

pub fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(seconds)
}

/// An answer by a model.
pub fn requested(owner: u128) -> Event {
    let reply = ReplyTo { conversation: fresh_id(), owner: id(owner), to: fresh_id() };
    let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
    Event::Message(fresh_id(), MessageEvent::ReplyRequested { reply, asked })
}

/// An answer by the rule bot.
pub fn given(owner: u128) -> Event {
    let (text, model) = ("hello".to_owned(), "rules".to_owned());
    let event = MessageEvent::ReplyGiven { conversation: fresh_id(), owner: id(owner), to: fresh_id(), text, model };
    Event::Message(fresh_id(), event)
}

pub fn reached(limit: LimitKind, user: Option<u128>, refused: u32) -> Event {
    Event::Notice(fresh_id(), NoticeEvent::LimitReached { limit, user: user.map(id), refused })
}

/// Writes an event, by the clock of whichever node it was.
pub async fn write(log: &Log, at: Timestamp, event: &Event) {
    let (stream_type, stream_id, event_type, event_version, payload) = match event {
        Event::Message(id, event) => {
            ("message", id.to_string(), event.name(), event.version(), to_raw_value(event).unwrap())
        }
        Event::Notice(id, event) => {
            ("notice", id.to_string(), event.name(), event.version(), to_raw_value(event).unwrap())
        }
        Event::Conversation(..)
        | Event::User(..)
        | Event::Claim(..)
        | Event::Token(..)
        | Event::ApiKey(..)
        | Event::Attachment(..) => panic!("{event:?} is not of these tests"),
    };
    let event = NewEvent { stream_type, stream_id, sequence: 1, event_type, event_version, payload };
    let metadata = to_raw_value(&json!({"request_id": "test"})).unwrap();
    log.append(Append { events: vec![event], guards: Vec::new(), metadata, recorded_at: at }).await.unwrap();
}

/// What some people do in some minutes, a bit different each time, and not quite in the order of their times.
pub async fn tell(log: &Log, people: usize, events: u32) {
    let mut dice = Dice::cast();
    for _ in 0..events {
        let owner = 1 + dice.below(people) as u128;
        let limit = LimitKind::ALL[dice.below(LimitKind::ALL.len())];
        let user = Some(owner).filter(|_| dice.below(4) > 0);
        let event = match dice.below(4) {
            0 => given(owner),
            1 => reached(limit, user, u32::try_from(dice.below(50)).unwrap()),
            _ => requested(owner),
        };
        let micros = i64::try_from(dice.below(15 * 60 * 1_000_000)).unwrap();
        write(log, Timestamp::from_micros(micros), &event).await;
    }
}

/// Every row of the read model, in the order of its keys.
pub async fn dump(db: &Db) -> Vec<String> {
    let cell = |column| match db {
        Db::Sqlite(_) => format!("quote({column})"),
        Db::Postgres(_) => format!("coalesce(cast({column} as text), '-')"),
    };
    let row: Vec<_> = "subject, minute, admitted, refused, last_at".split(", ").map(cell).collect();
    let sql = format!("select {} from limit_minutes order by 1", row.join(" || ' | ' || "));
    on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).expect("the rows")
}
