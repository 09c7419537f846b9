//! Messages with vectors, as a log holds them, and the rows that they make.

use std::sync::Arc;

use domain::chat::conversation::{ConversationEvent, Features};
use domain::chat::message::MessageEvent;
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, FinishReason, ReplyTo, Said};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::{Embedding, MessageBody, Vector};
use domain::{Event, Timestamp};
use projections::embeddings::{MODEL, Near, Nearest, embed, nearest};
use projections::search::Among;
use projections::{Change, Embeddings, Projection};
use serde_json::value::to_raw_value;
use store::{Db, Position, ReadModel, Recorded, fresh_id, on};
use tests::Dice;
use tests::scribe::Scribe;

pub fn started(id: ConversationId, owner: UserId, favourite: bool) -> Event {
    let features = Features { favourite, ..Features::default() };
    Event::Conversation(id, ConversationEvent::ConversationStarted { owner, features })
}

pub fn posted(id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    let body = MessageBody::try_from(text.to_owned()).unwrap();
    let (speaker, after) = (Speaker::User, After::Latest);
    Event::Message(id, MessageEvent::MessagePosted { conversation, owner, body, speaker, after })
}

pub fn requested(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    let reply = ReplyTo { conversation, owner, to: fresh_id() };
    let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
    Event::Message(id, MessageEvent::ReplyRequested { reply, asked })
}

pub fn completed(id: MessageId, owner: UserId, text: &str) -> Event {
    let said = Said { text: text.to_owned(), model: "m".to_owned(), usage: domain::chat::Usage::default() };
    let (owner, finish) = (Some(owner), FinishReason::Stop);
    Event::Message(id, MessageEvent::ReplyCompleted { owner, said, finish })
}

pub fn embedded(id: MessageId, owner: UserId, model: &str, vector: &[f32]) -> Event {
    let (model, vector) = (model.to_owned().try_into().unwrap(), Vector::new(vector).unwrap());
    Event::Message(id, MessageEvent::MessageEmbedded { owner, embedding: Embedding { model, vector } })
}

pub fn message_deleted(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    Event::Message(id, MessageEvent::MessageDeleted { owner, conversation })
}

pub fn conversation_deleted(id: ConversationId, owner: UserId) -> Event {
    Event::Conversation(id, ConversationEvent::ConversationDeleted { owner })
}

pub async fn record(scribe: &mut Scribe, events: &[Event]) {
    for event in events {
        scribe.record(event, &domain::Metadata::default()).await;
    }
}

/// Events as a log would hold them behind a position, a second apart.
pub fn changes(events: &[Event], behind: Position) -> Vec<Change> {
    let numbered = (behind.get() + 1..).zip(events);
    numbered.map(|(number, event)| Change::try_from(&Arc::new(recorded(event, number))).unwrap()).collect()
}

fn recorded(event: &Event, number: i64) -> Recorded {
    let (stream_type, stream_id, payload) = match event {
        Event::Conversation(id, event) => ("conversation", id.to_string(), to_raw_value(event)),
        Event::Message(id, event) => ("message", id.to_string(), to_raw_value(event)),
        Event::User(..)
        | Event::Claim(..)
        | Event::Token(..)
        | Event::ApiKey(..)
        | Event::Notice(..)
        | Event::Attachment(..) => panic!("{event:?} is of no conversation"),
    };
    Recorded {
        position: Position::new(number),
        recorded_at: Timestamp::from_micros(0).plus_seconds(number),
        stream_type: stream_type.to_owned(),
        stream_id,
        sequence: 1,
        event_type: String::new(),
        event_version: String::new(),
        payload: payload.unwrap(),
        metadata: to_raw_value(&()).unwrap(),
    }
}

/// Takes events in, so many at once.
pub async fn feed(model: &ReadModel, events: &[Event], at_once: usize) {
    let behind = model.checkpoint().await.unwrap();
    for chunk in changes(events, behind).chunks(at_once) {
        let mut batch = model.begin().await.unwrap();
        Embeddings::apply(&mut batch.tx, chunk).await.unwrap();
        batch.commit(chunk.last().unwrap().position).await.unwrap();
    }
}

pub const TABLES: [&str; 4] = ["vectors", "vector_slots", "vector_blocks", "vector_favourites"];

pub async fn empty(model: &ReadModel) {
    for table in tables(model.db()) {
        let (sql, mut batch) = (format!("delete from {table}"), model.begin().await.unwrap());
        store::on_tx!(&mut batch.tx, connection => sqlx::query(&sql).execute(connection).await.map(|_| ())).unwrap();
        batch.commit(Position::START).await.unwrap();
    }
}

fn tables(db: &Db) -> Vec<&'static str> {
    let is_there = |table: &&str| matches!(db, Db::Sqlite(_)) || !["vector_slots", "vector_blocks"].contains(table);
    TABLES.into_iter().filter(is_there).collect()
}

/// Every row of the read model.
pub async fn dump(db: &Db) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables(db) {
        let mut rows: Vec<String> = match db {
            Db::Postgres(postgres) => {
                let sql = format!("select '{table} ' || row_to_json({table})::text from {table}");
                sqlx::query_scalar(&sql).fetch_all(&postgres.pool).await.unwrap()
            }
            Db::Sqlite(file) => {
                let columns: Vec<String> =
                    sqlx::query_scalar("select 'quote(' || name || ')' from pragma_table_info($1)")
                        .bind(table)
                        .fetch_all(&file.read)
                        .await
                        .unwrap();
                let sql = format!("select '{table} ' || {} from {table}", columns.join(" || ' | ' || "));
                sqlx::query_scalar(&sql).fetch_all(&file.read).await.unwrap()
            }
        };
        rows.sort_unstable();
        all.extend(rows);
    }
    all
}

/// All of somebody's messages.
pub const fn all(owner: UserId) -> Among {
    Among { owner, conversation: None, role: None, since: None, until: None, favourite: None }
}

/// What is near to a text by the built-in model, nearest first.
pub async fn near(model: &ReadModel, among: &Among, text: &str, limit: u32) -> Vec<Near> {
    let vector = embed(text).unwrap();
    nearest(model.db(), &Nearest { among, model: MODEL, vector: &vector, limit }).await.unwrap()
}

pub async fn count(model: &ReadModel, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    on!(model.db(), pool => sqlx::query_scalar(&sql).fetch_one(pool).await).unwrap()
}

/// Some words that people use, rarely the same ones together.
pub fn words(dice: &mut Dice) -> String {
    const SYLLABLES: [&str; 16] =
        ["ka", "to", "mi", "ren", "sol", "ver", "du", "pla", "ne", "gri", "os", "um", "tal", "ix", "be", "yor"];
    let word = |dice: &mut Dice| {
        let most = dice.between(1, 600);
        let rank = dice.below(most);
        [SYLLABLES[rank % 16], SYLLABLES[rank / 16 % 16], SYLLABLES[(rank * 7) % 16]].concat()
    };
    let count = dice.between(3, 14);
    (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
}

/// A story of some people: turns, late replies, their own vectors, given twice, favourites, deletions.
pub fn story(dice: &mut Dice, owners: &[UserId], turns: usize) -> Vec<Event> {
    let (mut events, mut open, mut awaited, mut there) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let owner = owners[dice.below(owners.len())];
        if open.is_empty() || dice.below(20) == 0 {
            let room = fresh_id::<ConversationId>();
            events.push(started(room, owner, dice.below(2) == 0));
            open.push((room, owner));
        }
        let (room, owner) = open[dice.below(open.len())];
        let (message, reply) = (fresh_id::<MessageId>(), fresh_id::<MessageId>());
        events.push(posted(message, room, owner, &words(dice)));
        events.push(requested(reply, room, owner));
        there.extend([(message, room, owner), (reply, room, owner)]);
        awaited.push((reply, owner));
        if dice.below(3) > 0 {
            let (reply, owner) = awaited.swap_remove(dice.below(awaited.len()));
            events.push(completed(reply, owner, ["", "?!", &words(dice)][dice.between(0, 5).min(2)]));
        }
        if dice.below(4) == 0 {
            let (message, _, owner) = there[dice.below(there.len())];
            let vector: Vec<f32> = (0..3).map(|_| f32::from(u8::try_from(dice.between(1, 9)).unwrap())).collect();
            events.push(embedded(message, owner, ["mine", "other"][dice.below(2)], &vector));
        }
        if dice.below(9) == 0 {
            let (message, room, owner) = there.swap_remove(dice.below(there.len()));
            awaited.retain(|(reply, _)| *reply != message);
            events.push(message_deleted(message, room, owner));
        }
        if dice.below(150) == 0 {
            let (room, owner) = open.swap_remove(dice.below(open.len()));
            there.retain(|(_, of, _)| *of != room);
            events.push(conversation_deleted(room, owner));
        } else if dice.below(20) == 0 {
            let change = [
                ConversationEvent::ConversationFavourited { owner },
                ConversationEvent::ConversationUnfavourited { owner },
            ];
            events.push(Event::Conversation(room, change[dice.below(2)].clone()));
        }
    }
    events
}
