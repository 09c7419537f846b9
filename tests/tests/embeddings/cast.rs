//! Messages with vectors, as a log holds them, and the rows that they make.

use domain::Event;
use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::{Embedding, Vector};
use projections::Embeddings;
use projections::embeddings::{MODEL, Near, Nearest, embed, nearest};
use projections::search::Among;
use store::{Db, Position, ReadModel, fresh_id, on};
use tests::events::imported;
pub use tests::events::{all, conversation_deleted, message_deleted, posted, requested, started};
use tests::scribe::Scribe;
use tests::{Dice, events};

pub fn completed(id: MessageId, owner: UserId, text: &str) -> Event {
    events::completed(id, Some(owner), text)
}

pub fn embedded(id: MessageId, owner: UserId, model: &str, vector: &[f32]) -> Event {
    let (model, vector) = (model.to_owned().try_into().unwrap(), Vector::new(vector).unwrap());
    Event::Message(id, MessageEvent::MessageEmbedded { owner, embedding: Embedding { model, vector }, usage: None })
}

pub async fn record(scribe: &mut Scribe, events: &[Event]) {
    for event in events {
        scribe.record(event, &domain::Metadata::default()).await;
    }
}

/// Takes events in, so many at once.
pub async fn feed(model: &ReadModel, events: &[Event], at_once: usize) {
    events::feed::<Embeddings>(model, events, at_once).await;
}

pub async fn empty(model: &ReadModel) {
    for table in tables(model.db()) {
        let (sql, mut batch) = (format!("delete from {table}"), model.begin().await.unwrap());
        store::on_tx!(&mut batch.tx, connection => sqlx::query(&sql).execute(connection).await.map(|_| ())).unwrap();
        batch.commit(Position::START).await.unwrap();
    }
}

const fn tables(db: &Db) -> &'static [&'static str] {
    match db {
        Db::Postgres(_) => &["vectors", "vector_sketches", "vector_favourites"],
        Db::Sqlite(_) => &["vectors", "vector_slots", "vector_blocks", "vector_favourites"],
    }
}

/// Every row of the read model.
pub async fn dump(db: &Db) -> Vec<String> {
    events::dump(db, tables(db)).await
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
    for turn in 0..turns {
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
        if dice.below(8) == 0 {
            let message = fresh_id();
            events.push(imported(message, room, owner, &words(dice), dice.below(2) == 0));
            there.push((message, room, owner));
        }
        if dice.below(9) == 0 {
            let (message, room, owner) = there.swap_remove(dice.below(there.len()));
            awaited.retain(|(reply, _)| *reply != message);
            events.push(message_deleted(message, room, owner));
        }
        // In the first half: what is told after that stays.
        if turn < turns / 2 && dice.below(150) == 0 {
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
