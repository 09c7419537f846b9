//! Vectors by a provider's model: each message gets one, whatever happens meanwhile.

use std::time::Duration;

use domain::Event;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use replies::{EmbeddingsConfig, ProvidersConfig};
use reqwest::Method;
use serde_json::{Value, json};
use store::{Position, ReadModel, embedders, fresh_id, on};
use tests::app::Options;
use tests::events::imported;
use tests::fake_provider::{DIMENSION, NONSENSE, Script, Step};
use tests::scribe::Scribe;
use tests::stage::{PATIENCE, Play, Stage};
use tests::{FakeProvider, Persona, TestApp, on_both_engines};
use tokio::time::{interval, timeout};

use crate::cast::{conversation_deleted, message_deleted, posted, record, requested, started};
use crate::http::search;

pub const MODEL: &str = "fake/embed";
/// What is kept there nobody answers.
const KEEP: &str = "/api/v1/sessions";

/// A service whose messages a provider embeds.
pub struct Embedding {
    pub app: TestApp,
    pub fake: FakeProvider,
}

fn options(fake: &FakeProvider) -> Options {
    let embeddings = Some(EmbeddingsConfig { model: MODEL.to_owned(), dimensions: None });
    // A millionth of a dollar for two tokens.
    let prices = format!("{MODEL}=0.5/0").parse().unwrap();
    let asking = Options::asking(fake);
    Options { providers: ProvidersConfig { embeddings, prices, ..asking.providers }, ..asking }
}

impl Play for Embedding {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        Self { app: TestApp::start(stage, options(&fake)).await, fake }
    }
}

/// Waits until so many messages have the provider's vectors.
async fn until_embedded(live: &ReadModel, messages: usize) {
    let sql = "select count(*) from vectors where model = $1";
    let mut tick = interval(Duration::from_millis(10));
    let come = async {
        loop {
            let count: i64 = on!(live.db(), pool => sqlx::query_scalar(sql).bind(MODEL).fetch_one(pool).await).unwrap();
            if usize::try_from(count) == Ok(messages) {
                return;
            }
            tick.tick().await;
        }
    };
    assert!(timeout(PATIENCE, come).await.is_ok(), "there are no {messages} vectors");
}

impl Embedding {
    pub async fn until_embedded(&self, messages: usize) {
        until_embedded(&self.app.read_models.embeddings, messages).await;
    }

    /// Which texts were embedded, in some order.
    pub fn embedded(&self) -> Vec<String> {
        sorted(self.fake.embedded())
    }

    /// Of which messages the log has vectors, as often as it has them.
    async fn given(&self) -> Vec<MessageId> {
        let events = self.app.stage.log.read(Position::START, 10_000).await.unwrap();
        let given = events.iter().filter_map(|recorded| {
            let Event::Message(id, MessageEvent::MessageEmbedded { .. }) = recorded.event().unwrap() else {
                return None;
            };
            Some(id)
        });
        let mut given: Vec<MessageId> = given.collect();
        given.sort_unstable();
        given
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

/// A conversation in which nobody answers.
pub async fn room(who: &Persona<'_>) -> String {
    let answer = who.request(Method::POST, KEEP).json(&json!({"session_name": "room"})).send().await.unwrap();
    let room: Value = answer.json().await.unwrap();
    format!("{KEEP}/{}", room["session_id"].as_str().unwrap())
}

/// Leaves a message there, and gives its id.
pub async fn keep(who: &Persona<'_>, room: &str, content: &str) -> String {
    let request = who.request(Method::POST, &format!("{room}/messages")).json(&json!({"content": content}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["message_id"].as_str().unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

async fn delete(who: &Persona<'_>, path: &str) {
    assert!(who.request(Method::DELETE, path).send().await.unwrap().status().is_success(), "{path}");
}

pub fn ask(query: &str, mode: &str) -> Value {
    json!({"query": query, "mode": mode, "role": "user"})
}

on_both_engines! {
    async fn what_vectors_cost_is_counted(on: Embedding) {
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        for text in ["one two three", "four five", "six"] {
            keep(&ann, &room, text).await;
        }
        on.until_embedded(3).await;
        search(&ann, &ask("a question is not counted", "semantic")).await;
        on.app.settle().await;
        let usage: Value = ann.request(Method::GET, "/api/v1/usage").send().await.unwrap().json().await.unwrap();
        let [item] = usage["items"].as_array().unwrap().as_slice() else { panic!("{usage}") };
        let counted = (&item["model"], &item["prompt_tokens"], &item["replies"], &item["cost_usd"]);
        assert_eq!(counted, (&json!(MODEL), &json!(6), &json!(0), &json!(0.000_003)));
    }

    async fn one_who_was_away_is_caught_up_with_and_nothing_is_given_twice(on: Embedding) {
        for _ in 0..4 {
            on.fake.then_embeds(Script::fails(503));
        }
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        let texts: Vec<String> = (0..9).map(|number| format!("message {number}")).collect();
        for text in &texts {
            keep(&ann, &room, text).await;
        }
        on.until_embedded(9).await;
        assert_eq!(on.embedded(), texts);
        keep(&ann, &room, "one more").await;
        on.until_embedded(10).await;
        assert_eq!((on.embedded().len(), on.given().await.len()), (10, 10));
        let built_in = json!({"query": "message 3", "mode": "semantic", "model": "colloquy-hash-256"});
        assert_eq!(search(&ann, &built_in).await["results"][0]["snippet"], "<mark>message</mark> <mark>3</mark>");
    }

    async fn a_limit_is_honoured(on: Embedding) {
        on.fake.then_embeds(Script::rate_limited(2));
        let ann = on.app.user("ann").await;
        keep(&ann, &room(&ann).await, "hello").await;
        on.until_embedded(1).await;
        let asked = on.fake.asked();
        assert!(asked[1].at - asked[0].at >= Duration::from_secs(2), "{:?}", asked[1].at - asked[0].at);
        assert_eq!((asked.len(), on.embedded().len()), (2, 1));
    }

    async fn what_is_no_vector_of_this_model_is_not_kept(on: Embedding) {
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        keep(&ann, &room, "first").await;
        on.until_embedded(1).await;
        for odd in [Script::of(vec![Step::Vectors(3)]), Script::garbage(), Script::of(vec![Step::Vectors(2_001)])] {
            on.fake.then_embeds(odd);
        }
        keep(&ann, &room, "second").await;
        on.until_embedded(2).await;
        let sql = "select distinct dimension from vectors where model = $1";
        let live = &on.app.read_models.embeddings;
        let dimensions: Vec<i64> =
            on!(live.db(), pool => sqlx::query_scalar(sql).bind(MODEL).fetch_all(pool).await).unwrap();
        assert_eq!(dimensions, [i64::try_from(DIMENSION).unwrap()]);
        assert_eq!(on.given().await.len(), 2);
    }

    async fn who_gives_nothing_of_use_is_tried_with_a_word(on: Embedding) {
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        keep(&ann, &room, "first").await;
        on.until_embedded(1).await;
        on.fake.always("embed", Script::of(vec![Step::Vectors(3)]));
        keep(&ann, &room, "second").await;
        let texts = on.fake.until_embedded(6).await;
        assert_eq!(texts[..6], ["first", "second", "second", "second", "hello", "hello"]);
        on.fake.always("embed", Script::vectors());
        on.until_embedded(2).await;
        assert_eq!(on.given().await.len(), 2);
    }

    async fn what_is_deleted_meanwhile_is_passed_by(on: Embedding) {
        on.fake.then_embeds(Script::of(vec![Step::Gate]));
        let ann = on.app.user("ann").await;
        let (kept, left) = (room(&ann).await, room(&ann).await);
        keep(&ann, &kept, "at once").await;
        on.fake.until_asked(1).await;
        on.fake.then_embeds(Script::of(vec![Step::Gate]));
        let gone = keep(&ann, &kept, "gone").await;
        keep(&ann, &left, "gone with its room").await;
        keep(&ann, &kept, "here").await;
        on.fake.release();
        on.fake.until_asked(2).await;
        delete(&ann, &format!("/api/v1/messages/{gone}")).await;
        delete(&ann, &left).await;
        on.fake.release();
        on.until_embedded(2).await;
        assert_eq!(on.given().await.len(), 2);
    }

    async fn what_is_refused_by_itself_stays_without_and_holds_up_nobody(stage: Stage) {
        let fake = FakeProvider::start().await;
        let (owner, room) = (fresh_id::<UserId>(), fresh_id::<ConversationId>());
        let mut scribe = Scribe::new(&stage.log);
        let messages: Vec<MessageId> = (0..4).map(|_| fresh_id()).collect();
        record(&mut scribe, &[started(room, owner, false)]).await;
        for (id, text) in messages.iter().zip(["one", "two", "three", "poison"]) {
            record(&mut scribe, &[posted(*id, room, owner, text)]).await;
        }
        let (no, yes) = (|| Script::fails(400), Script::vectors);
        // All four, a word that nobody refuses, two, the other two, the word, one, the other, the word.
        for script in [no(), yes(), yes(), no(), yes(), yes(), no(), yes()] {
            fake.then_embeds(script);
        }
        let on = Embedding { app: TestApp::start(stage, options(&fake)).await, fake };
        on.until_embedded(3).await;
        assert_eq!(on.given().await, messages[..3]);
        let next = fresh_id();
        record(&mut scribe, &[posted(next, room, owner, "four")]).await;
        on.until_embedded(4).await;
        assert_eq!(on.fake.asked().len(), 9);

        // Where everything is refused, it is not the texts: they wait.
        on.fake.always("embed", no());
        record(&mut scribe, &[posted(fresh_id(), room, owner, "five"), posted(fresh_id(), room, owner, "six")]).await;
        on.fake.until_asked(13).await;
        on.fake.always("embed", yes());
        on.until_embedded(6).await;
    }

    async fn what_always_fails_by_itself_stays_without_and_holds_up_nobody(stage: Stage) {
        let fake = FakeProvider::start().await;
        let (owner, room) = (fresh_id::<UserId>(), fresh_id::<ConversationId>());
        let mut scribe = Scribe::new(&stage.log);
        record(&mut scribe, &[started(room, owner, false)]).await;
        let messages: Vec<MessageId> = (0..5).map(|_| fresh_id()).collect();
        for (id, text) in messages.iter().zip(["one", "two", "three", "four", NONSENSE]) {
            record(&mut scribe, &[posted(*id, room, owner, text)]).await;
        }
        let on = Embedding { app: TestApp::start(stage, options(&fake)).await, fake };
        on.until_embedded(4).await;
        assert_eq!(on.given().await, messages[..4]);
        record(&mut scribe, &[posted(fresh_id(), room, owner, "five")]).await;
        on.until_embedded(5).await;
    }

    async fn what_was_said_before_is_embedded_in_portions(stage: Stage) {
        let fake = FakeProvider::start().await;
        let (owner, room, gone) = (fresh_id::<UserId>(), fresh_id::<ConversationId>(), fresh_id::<ConversationId>());
        let mut scribe = Scribe::new(&stage.log);
        record(&mut scribe, &[started(room, owner, false), started(gone, owner, false)]).await;
        for number in 0..150 {
            record(&mut scribe, &[posted(fresh_id(), room, owner, &format!("message {number}"))]).await;
        }
        // Replies of old name no owner, and some have said nothing.
        for text in ["a reply", " \n"] {
            let reply = fresh_id();
            record(&mut scribe, &[requested(reply, room, owner)]).await;
            scribe.complete(reply, text).await;
        }
        let deleted = fresh_id();
        record(&mut scribe, &[posted(deleted, room, owner, "deleted"), message_deleted(deleted, room, owner)]).await;
        record(&mut scribe, &[posted(fresh_id(), gone, owner, "gone"), conversation_deleted(gone, owner)]).await;
        record(&mut scribe, &[requested(fresh_id(), room, owner)]).await;
        record(&mut scribe, &[imported(fresh_id(), room, owner, "from elsewhere", true)]).await;
        let long = "안녕 ".repeat(9_000);
        record(&mut scribe, &[posted(fresh_id(), room, owner, &long)]).await;

        let on = Embedding { app: TestApp::start(stage, options(&fake)).await, fake };
        on.until_embedded(153).await;
        let embedded = on.embedded();
        assert_eq!((embedded.len(), on.given().await.len()), (153, 153));
        let is_there = |text: &String| {
            long.starts_with(text) || text.starts_with("message ") || ["a reply", "from elsewhere"].contains(&text.as_str())
        };
        assert!(embedded.iter().all(is_there), "{embedded:?}");
        assert!(embedded.iter().all(|text| text.chars().count() < 10_000), "what is long is cut");
        assert!(on.fake.asked().iter().all(|asked| asked.texts.len() <= 64));
        assert!(on.fake.asked().len() < 30, "many texts go together");
        let is_noted = async {
            let mut tick = interval(Duration::from_millis(10));
            while embedders::progress(on.app.stage.log.db(), MODEL).await.unwrap().position == Position::START {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, is_noted).await.unwrap();
        let progress = embedders::progress(on.app.stage.log.db(), MODEL).await.unwrap();
        assert_eq!(progress.dimension, u32::try_from(DIMENSION).ok());
    }
}
