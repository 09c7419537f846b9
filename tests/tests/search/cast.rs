//! Messages as a log holds them, and what is found of them.

use domain::Event;
use domain::chat::message::MessageEvent;
use domain::chat::reply::Interruption;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::Search;
use projections::search::{self, Among, Found, Sought, Terms};
use store::{Db, ReadModel, fresh_id};
use tests::Dice;
use tests::events::{self, imported, said};
pub use tests::events::{all, conversation_deleted, favoured, message_deleted, moment, posted, requested, said_by};

pub fn started(id: ConversationId, owner: UserId) -> Event {
    events::started(id, owner, false)
}

pub fn given(id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    let (text, model) = (text.to_owned(), "rules".to_owned());
    Event::Message(id, MessageEvent::ReplyGiven { conversation, owner, to: fresh_id(), text, model })
}

/// As the first version was: it names no owner.
pub fn completed(id: MessageId, text: &str) -> Event {
    events::completed(id, None, text)
}

pub fn stopped(id: MessageId, owner: UserId, text: &str) -> Event {
    Event::Message(id, MessageEvent::ReplyStopped { owner, said: said(text) })
}

pub fn interrupted(id: MessageId, owner: UserId, text: &str) -> Event {
    let (said, reason) = (said(text), Interruption::TimedOut);
    Event::Message(id, MessageEvent::ReplyInterrupted { owner, said, reason, retry_after_seconds: None })
}

/// Takes events in, so many at once, behind what is there.
pub async fn feed(model: &ReadModel, events: &[Event], at_once: usize) {
    events::feed::<Search>(model, events, at_once).await;
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
    let mut all = events::dump(db, &["search_conversations", "search_awaited", "search_messages"]).await;
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
    for turn in 0..turns {
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
        if dice.below(8) == 0 {
            let message = fresh_id();
            events.push(imported(message, room, owner, &words(dice), dice.below(2) == 0));
            there.push((message, room, owner));
        }
        if dice.below(9) == 0 {
            let (message, room, owner) = there.swap_remove(dice.below(there.len()));
            awaited.retain(|(reply, ..)| *reply != message);
            events.push(message_deleted(message, room, owner));
        }
        // In the first half: what is told after that stays.
        if turn < turns / 2 && dice.below(60) == 0 {
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
