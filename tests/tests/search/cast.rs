//! Messages as a log holds them, and what is found of them.

use std::sync::Arc;

use domain::chat::conversation::{ConversationEvent, Features};
use domain::chat::message::MessageEvent;
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, FinishReason, Interruption, ReplyTo, Said};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use domain::{Event, Timestamp};
use projections::search::{self, Among, Found, Sought, Terms};
use projections::{Change, Projection, Search};
use serde_json::value::to_raw_value;
use store::{Db, Position, ReadModel, Recorded, fresh_id};
use tests::Dice;

pub fn started(id: ConversationId, owner: UserId) -> Event {
    Event::Conversation(id, ConversationEvent::ConversationStarted { owner, features: Features::default() })
}

pub fn favoured(id: ConversationId, owner: UserId, favourite: bool) -> Event {
    let (yes, no) =
        (ConversationEvent::ConversationFavourited { owner }, ConversationEvent::ConversationUnfavourited { owner });
    Event::Conversation(id, if favourite { yes } else { no })
}

pub fn conversation_deleted(id: ConversationId, owner: UserId) -> Event {
    Event::Conversation(id, ConversationEvent::ConversationDeleted { owner })
}

pub fn posted(id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    said_by(Speaker::User, id, conversation, owner, text)
}

pub fn said_by(speaker: Speaker, id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    let (body, after) = (MessageBody::try_from(text.to_owned()).unwrap(), After::Latest);
    Event::Message(id, MessageEvent::MessagePosted { conversation, owner, body, speaker, after })
}

pub fn given(id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    let (text, model) = (text.to_owned(), "rules".to_owned());
    Event::Message(id, MessageEvent::ReplyGiven { conversation, owner, to: fresh_id(), text, model })
}

pub fn requested(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    let reply = ReplyTo { conversation, owner, to: fresh_id() };
    let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
    Event::Message(id, MessageEvent::ReplyRequested { reply, asked })
}

fn said(text: &str) -> Said {
    Said { text: text.to_owned(), model: "m".to_owned(), usage: domain::chat::Usage::default() }
}

/// As the first version was: it names no owner.
pub fn completed(id: MessageId, text: &str) -> Event {
    Event::Message(id, MessageEvent::ReplyCompleted { owner: None, said: said(text), finish: FinishReason::Stop })
}

pub fn stopped(id: MessageId, owner: UserId, text: &str) -> Event {
    Event::Message(id, MessageEvent::ReplyStopped { owner, said: said(text) })
}

pub fn interrupted(id: MessageId, owner: UserId, text: &str) -> Event {
    let (said, reason) = (said(text), Interruption::TimedOut);
    Event::Message(id, MessageEvent::ReplyInterrupted { owner, said, reason, retry_after_seconds: None })
}

pub fn message_deleted(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    Event::Message(id, MessageEvent::MessageDeleted { owner, conversation })
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
        | Event::Attachment(..) => unreachable!("it is of no conversation"),
    };
    Recorded {
        position: Position::new(number),
        recorded_at: moment(number),
        stream_type: stream_type.to_owned(),
        stream_id,
        sequence: 1,
        event_type: String::new(),
        event_version: String::new(),
        payload: payload.unwrap(),
        metadata: to_raw_value(&()).unwrap(),
    }
}

/// When the event at a position happened: a second after the one before.
pub fn moment(position: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(position)
}

/// Takes events in, so many at once, behind what is there.
pub async fn feed(model: &ReadModel, events: &[Event], at_once: usize) {
    let behind = model.checkpoint().await.unwrap().get();
    let numbered = (behind + 1..).zip(events);
    let changes: Vec<Change> =
        numbered.map(|(number, event)| Change::try_from(&Arc::new(recorded(event, number))).unwrap()).collect();
    for chunk in changes.chunks(at_once) {
        let mut batch = model.begin().await.unwrap();
        Search::apply(&mut batch.tx, chunk).await.unwrap();
        batch.commit(chunk.last().unwrap().position).await.unwrap();
    }
}

pub const fn all(owner: UserId) -> Among {
    Among { owner, conversation: None, role: None, since: None, until: None, favourite: None }
}

pub fn sought(among: &Among, query: &str) -> Sought {
    Sought { terms: Terms::parse(query).unwrap(), among: among.clone() }
}

pub async fn page(model: &ReadModel, sought: &Sought, after: Option<search::After>, limit: usize) -> Found {
    search::search(model.db(), sought, after, limit).await.unwrap()
}

/// Everything that is found, in the order of the log.
pub async fn found(model: &ReadModel, among: &Among, query: &str) -> Vec<MessageId> {
    let mut found = page(model, &sought(among, query), None, 100_000).await;
    assert_eq!(found.next, None, "{query}");
    found.hits.sort_by_key(|hit| hit.position);
    found.hits.into_iter().map(|hit| hit.message).collect()
}

/// Every row, and every word of the index with its place.
pub async fn dump(db: &Db) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["search_conversations", "search_awaited", "search_messages"] {
        let mut rows: Vec<String> = match db {
            Db::Postgres(postgres) => {
                let sql = format!("select '{table} ' || row_to_json({table})::text from {table}");
                sqlx::query_scalar(&sql).fetch_all(&postgres.pool).await.unwrap()
            }
            Db::Sqlite(file) => {
                let columns = "select 'quote(' || name || ')' from pragma_table_info($1)";
                let columns: Vec<String> = sqlx::query_scalar(columns).bind(table).fetch_all(&file.read).await.unwrap();
                let sql = format!("select '{table} ' || {} from {table}", columns.join(" || ' | ' || "));
                sqlx::query_scalar(&sql).fetch_all(&file.read).await.unwrap()
            }
        };
        rows.sort_unstable();
        all.extend(rows);
    }
    if let Db::Sqlite(file) = db {
        let mut writer = file.write.acquire().await.unwrap();
        let sql = "create virtual table if not exists temp.every_word using fts5vocab(main, search_words, instance)";
        sqlx::query(sql).execute(&mut *writer).await.unwrap();
        let sql = "select term || ' ' || doc || ' ' || col || ' ' || \"offset\" from every_word order by doc, col, \"offset\"";
        let words: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *writer).await.unwrap();
        all.extend(words);
    }
    all
}

const WORDS: [&str; 12] =
    ["the", "sea", "is", "blue", "Übermut", "tut", "selten", "gut", "東京", "foo_bar", "v1.5", "naïve"];

/// Some words, the first of them far more often than the last.
pub fn words(dice: &mut Dice) -> String {
    let count = dice.between(1, 8);
    let word = |dice: &mut Dice| {
        let most = dice.between(1, WORDS.len());
        WORDS[dice.below(most)]
    };
    (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
}

/// A story of some people: turns, late replies that say little or nothing, favourites, deletions.
pub fn story(dice: &mut Dice, owners: &[UserId], turns: usize) -> Vec<Event> {
    let (mut events, mut open, mut awaited, mut there) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let owner = owners[dice.below(owners.len())];
        if open.is_empty() || dice.below(20) == 0 {
            let room = fresh_id::<ConversationId>();
            events.push(started(room, owner));
            open.push((room, owner));
        }
        let (room, owner) = open[dice.below(open.len())];
        let (message, reply) = (fresh_id::<MessageId>(), fresh_id::<MessageId>());
        events.extend([posted(message, room, owner, &words(dice)), requested(reply, room, owner)]);
        there.extend([(message, room, owner), (reply, room, owner)]);
        awaited.push((reply, room, owner));
        if dice.below(3) > 0 && !awaited.is_empty() {
            let (reply, _, owner) = awaited.swap_remove(dice.below(awaited.len()));
            let text = ["", "?!", &words(dice)][dice.between(0, 5).min(2)].to_owned();
            let ended = [completed(reply, &text), stopped(reply, owner, &text), interrupted(reply, owner, &text)];
            events.push(ended[dice.below(3)].clone());
        }
        if dice.below(9) == 0 {
            let (message, room, owner) = there.swap_remove(dice.below(there.len()));
            awaited.retain(|(reply, ..)| *reply != message);
            events.push(message_deleted(message, room, owner));
        }
        if dice.below(60) == 0 {
            let (room, owner) = open.swap_remove(dice.below(open.len()));
            there.retain(|(_, of, _)| *of != room);
            // Some end when nobody can read them any more.
            events.push(conversation_deleted(room, owner));
        } else if dice.below(15) == 0 {
            events.push(favoured(room, owner, dice.below(2) == 0));
        }
    }
    events
}
