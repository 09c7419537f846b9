//! What somebody finds again who has talked for years: 100,000 conversations, one of 20,000 messages, 220,000 messages in all.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::ids::UserId;
use futures::future::join_all;
use projections::embeddings;
use serde_json::{Value, json};
use store::{Clock, Executor, Log};
use tests::Dice;

use crate::http::{Connection, Request};
use crate::post::{Start, execute};
use crate::report::{Limit, Report, Row, millis, number, percentile};
use crate::site::{Engine, Site};

const CONVERSATIONS: usize = 100_000;
/// Turns of the long one, each of which is two messages.
const LONG: usize = 10_000;
const WRITERS: usize = 64;
const ASKED: usize = 300;
const MOST: f64 = 50.0;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let mut site = Site::start(engine).await;
        let user = site.sign_up("reader").await;
        let me = site.whole(&Request::get("/api/v1/users/me", Some(&user.token))).await;
        let owner: UserId = text(&me, "id").parse().expect("an id");
        let begun = Instant::now();
        let years =
            site.paused(async |db| Years::write(Executor::new(Log::open(db), Clock::System), owner).await).await;
        site.settle().await;
        eprintln!("{}: written and read in {} s", engine.name(), number(begun.elapsed().as_secs_f64()));
        years.pages(report, &site, &user.token).await;
        years.search(report, &site, &user.token).await;
    }
}

/// What was said in years.
struct Years {
    long: String,
    texts: Vec<String>,
}

impl Years {
    async fn write(executor: Executor, owner: UserId) -> Self {
        let (mut dice, vocabulary) = (Dice::cast(), vocabulary());
        let texts: Vec<String> =
            (0..CONVERSATIONS + LONG).map(|number| sentence(&mut dice, &vocabulary, number)).collect();
        let long = Start::of(owner);
        execute(&executor, &long).await;
        let (in_long, alone) = texts.split_at(LONG);
        let writers = alone.chunks(CONVERSATIONS.div_ceil(WRITERS)).map(|texts| {
            let (executor, texts) = (executor.clone(), texts.to_vec());
            tokio::spawn(async move {
                for text in texts {
                    let start = Start::of(owner);
                    execute(&executor, &start).await;
                    execute(&executor, &start.post(&text)).await;
                }
            })
        });
        let filler = async {
            for text in in_long {
                execute(&executor, &long.post(text)).await;
            }
        };
        let (all, ()) = tokio::join!(join_all(writers), filler);
        for writer in all {
            writer.expect("a writer that ends");
        }
        Self { long: long.conversation.to_string(), texts }
    }

    async fn pages(&self, report: &mut Report, site: &Site, token: &str) {
        let get = |path: String| Request::get(&path, Some(token));
        let long = format!("/api/v1/sessions/{}/messages", self.long);
        let deep = CONVERSATIONS - 100;
        let rows = [
            ("first page of 100,000 conversations", get("/api/v1/sessions?limit=20".to_owned())),
            ("page of conversations that skips 99,900", get(format!("/api/v1/sessions?limit=20&skip={deep}"))),
            ("conversations whose name has a rare word", get("/api/v1/sessions?limit=20&q=needle77".to_owned())),
            ("first page of 20,000 messages", get(format!("{long}?limit=20"))),
            ("page of messages that skips 19,900", get(format!("{long}?limit=20&offset=19900"))),
            ("page of the oldest of 20,000 messages", get(format!("{long}?limit=20&after=0"))),
        ];
        for (what, request) in rows {
            self.row(report, site, what, std::iter::repeat_n(request, ASKED)).await;
        }
    }

    async fn search(&self, report: &mut Report, site: &Site, token: &str) {
        let ask = |body: Value| Request::post("/api/v1/search", Some(token), &body);
        let every = |mode: &'static str| {
            let texts = self.texts.iter().step_by(self.texts.len() / ASKED).take(ASKED);
            texts.map(move |text| ask(json!({"query": words(text), "mode": mode, "limit": 10})))
        };
        self.row(report, site, "text search, a few words", every("text")).await;
        let common = ask(json!({"query": "time"}));
        self.row(report, site, "text search, a word of every message", std::iter::repeat_n(common, ASKED)).await;
        let rare = ask(json!({"query": "needle4242"}));
        self.row(report, site, "text search, a word of one message", std::iter::repeat_n(rare, ASKED)).await;
        self.row(report, site, "semantic search", every("semantic")).await;
        self.row(report, site, "hybrid search", every("hybrid")).await;
        self.recall(report, site, token).await;
    }

    /// How many of the ten that are really nearest are found.
    async fn recall(&self, report: &mut Report, site: &Site, token: &str) {
        const QUERIES: usize = 50;
        let vectors: Vec<Vec<f32>> = self.texts.iter().map(|text| embeddings::embed(text).expect("words")).collect();
        let mut connection = Connection::open(site.address()).await;
        let (mut found, mut wanted) = (0.0, 0.0);
        for text in self.texts.iter().step_by(self.texts.len() / QUERIES).take(QUERIES) {
            let query = words(text);
            let to = embeddings::embed(&query).expect("words");
            let near = |vector: &[f32]| -> f32 { vector.iter().zip(&to).map(|(one, other)| one * other).sum() };
            let mut exact: Vec<f32> = vectors.iter().map(|vector| near(vector)).collect();
            exact.sort_by(|one, other| other.total_cmp(one));
            let least = exact.get(9).copied().unwrap_or(-1.0);
            let body = json!({"query": query, "mode": "semantic", "role": "user", "limit": 10});
            let answer = connection.json(&Request::post("/api/v1/search", Some(token), &body)).await;
            let scores = answer.get("results").and_then(Value::as_array).expect("results").iter();
            let scores: Vec<f64> =
                scores.map(|hit| hit.get("score").and_then(Value::as_f64).expect("a score")).collect();
            // Which of those that are equally near is among the ten is chance.
            found += number_of(scores.iter().filter(|score| **score >= f64::from(least) - 1e-5).count());
            wanted += 10.0;
        }
        report.row(Row {
            measure: format!("semantic search, recall@10 against exact, {}", site.name()),
            value: found / wanted,
            unit: "",
            of: format!("({QUERIES} queries)"),
            bound: Some(Limit::AtLeast(0.95)),
            aim: None,
        });
    }

    async fn row(&self, report: &mut Report, site: &Site, what: &str, requests: impl Iterator<Item = Request>) {
        let mut connection = Connection::open(site.address()).await;
        let mut times: Vec<Duration> = Vec::with_capacity(ASKED);
        for request in requests {
            let sent = Instant::now();
            connection.ask(&request).await;
            times.push(sent.elapsed());
        }
        times.sort();
        let p50 = times.get(times.len() / 2).copied().map(millis).unwrap_or_default();
        report.row(Row {
            measure: format!("{what}, p99, {}", site.name()),
            value: percentile(&times, 99),
            unit: " ms",
            of: format!("(p50 {} ms)", number(p50)),
            bound: None,
            aim: Some(Limit::AtMost(MOST)),
        });
    }
}

fn number_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("few"))
}

fn text(body: &Value, field: &str) -> String {
    body.get(field).and_then(Value::as_str).expect("a text").to_owned()
}

/// Some syllables make many words.
fn vocabulary() -> Vec<String> {
    let syllables =
        ["ka", "lo", "mi", "ren", "su", "ta", "vel", "no", "pri", "dan", "fu", "gol", "he", "jum", "wex", "zi"];
    let mut words = BTreeSet::new();
    for one in syllables {
        for two in syllables {
            words.extend(syllables.map(|three| format!("{one}{two}{three}")));
        }
    }
    words.into_iter().collect()
}

/// Few words are common and many are rare, as in any language.
fn sentence(dice: &mut Dice, vocabulary: &[String], number: usize) -> String {
    let mut text = format!("time needle{number}");
    for _ in 0..dice.between(6, 20) {
        let rank = dice.below(vocabulary.len()).min(dice.below(vocabulary.len())).min(dice.below(vocabulary.len()));
        text.push(' ');
        text.push_str(vocabulary.get(rank).expect("a word"));
    }
    text
}

/// A few of a message's words.
fn words(text: &str) -> String {
    text.split(' ').skip(2).take(3).collect::<Vec<_>>().join(" ")
}
