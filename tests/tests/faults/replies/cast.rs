//! Who plays in these stories: nodes that ask one provider, what it says, and what the log has of it in the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use domain::Event;
use domain::chat::message::MessageEvent;
use domain::chat::reply::{Ending, Interruption, Said};
use projections::SEARCH_PATH;
use store::{Db, Durability, Log, Position, PostgresDb, SqliteFile};
use tests::fake_provider::{Script, Step};
use tests::sse::{Event as Shown, Events, text};
use tests::{Dice, FakeProvider};
use tokio::time::timeout;

use crate::dump::Tables;
use crate::house::{House, Node, eventually};

pub const ALL: &str = "api,relay,project,reply";
/// All but making replies.
pub const SERVES: &str = "api,relay,project";
/// In how much time a reply must have ended that a dead node was making.
pub const SOON: Duration = Duration::from_secs(30);

/// A house whose nodes ask a provider.
pub struct Cast {
    pub house: House,
    pub fake: FakeProvider,
    log: Log,
}

/// How a reply ended, as the log has it.
#[derive(Debug)]
pub struct Ended {
    pub ending: Ending,
    pub said: Said,
}

impl Cast {
    pub async fn postgres_nats() -> Self {
        let house = House::postgres_nats().await;
        let db = Db::Postgres(PostgresDb::open(house.database(), SEARCH_PATH).expect("an address"));
        Self { log: Log::open(db), fake: FakeProvider::start().await, house }
    }

    pub async fn sqlite() -> Self {
        let house = House::sqlite();
        let Tables::Sqlite(folder) = &house.tables else { panic!("a house of SQLite") };
        let file = SqliteFile::open(&folder.join("log.db"), Durability::Full).expect("a path");
        Self { log: Log::open(Db::Sqlite(file)), fake: FakeProvider::start().await, house }
    }

    /// Starts a node that does these services.
    pub async fn node(&self, roles: &str) -> Node {
        let mut node = self.place(roles);
        node.start().await;
        node
    }

    /// A maker of replies that has conversations named, and is called so itself.
    pub async fn namer(&self, name: &str) -> Node {
        let mut node = self.place("reply");
        node.builder = node.builder.clone().env("COLLOQUY_TITLES", "provider").env("COLLOQUY_NODE", name);
        node.start().await;
        node
    }

    fn place(&self, roles: &str) -> Node {
        let mut node = self.house.place();
        let builder = node.builder.clone().env("AI_SERVICES__FAKE_BASE_URL", self.fake.openai_url());
        node.builder = builder.env("COLLOQUY_MODEL", "fake/one").env("COLLOQUY_ROLES", roles);
        node
    }

    /// What a process alone keeps of the replies that it makes: the names of the files.
    pub fn kept(&self) -> Vec<String> {
        let all = fs::read_dir(self.kept_in()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        all.map(|name| name.into_string().expect("a name")).collect()
    }

    pub fn keep(&self, name: &str, text: &str) {
        fs::write(self.kept_in().join(name), text).expect("a folder");
    }

    fn kept_in(&self) -> PathBuf {
        let Tables::Sqlite(folder) = &self.house.tables else { panic!("a house of SQLite") };
        folder.join("replies")
    }

    /// What the log has of every reply that was ever asked for; fails where one has ended twice.
    pub async fn replies(&self) -> BTreeMap<String, Option<Ended>> {
        let (mut all, mut read) = (BTreeMap::new(), Position::START);
        loop {
            let some = self.log.read(read, 1_000).await.expect("the database is up");
            let Some(last) = some.last() else { return all };
            read = last.position;
            for recorded in some {
                let Event::Message(reply, event) = recorded.event().expect("an event") else { continue };
                let reply = reply.to_string();
                if let Some((ending, said)) = event.ending() {
                    let before = all.insert(reply.clone(), Some(Ended { ending, said: said.clone() }));
                    assert!(matches!(before, Some(None)), "{reply} has ended before: {before:?}");
                } else if let MessageEvent::ReplyRequested { .. } = event {
                    assert!(all.insert(reply, None).is_none(), "asked for twice");
                }
            }
        }
    }

    /// Waits until so many replies have ended, which must be soon.
    pub async fn until_ended(&self, count: usize) -> BTreeMap<String, Ended> {
        let enough = eventually("the end of every reply", async || {
            let ended: BTreeMap<_, _> =
                self.replies().await.into_iter().filter_map(|(reply, ended)| Some((reply, ended?))).collect();
            (ended.len() >= count).then_some(ended)
        });
        timeout(SOON, enough).await.expect("an end in time")
    }

    /// Waits until every reply that was ever asked for has ended.
    pub async fn all_ended(&self) -> BTreeMap<String, Ended> {
        let count = self.replies().await.len();
        self.until_ended(count).await
    }

    /// Waits until this model was asked so often.
    pub async fn until_asked_of(&self, model: String, times: usize) {
        eventually("a model that is asked again", async || (self.times_asked(&model) >= times).then_some(())).await;
    }

    /// How often this model was asked.
    pub fn times_asked(&self, model: &str) -> usize {
        self.fake.asked().iter().filter(|asked| asked.model == model).count()
    }
}

/// So many words that can be told from each other, some of them longer in bytes than in letters.
pub fn words(dice: &mut Dice, count: usize) -> Vec<String> {
    let some = ["a", "그리고", "ß", "word", "👋", "something longer", "é"];
    (0..count).map(|n| format!("{n}{} ", some[dice.below(some.len())])).collect()
}

/// What each script says that it cost: tokens of the prompt, and of the answer.
pub const USAGE: (u64, u64) = (11, 7);

/// Says some words, with pauses of some milliseconds; stands at a gate; says the others.
pub fn gated(before: &[String], after: &[String], dice: &mut Dice) -> Script {
    let mut steps = paced(before, dice);
    steps.push(Step::Gate);
    steps.extend(paced(after, dice));
    ending(steps)
}

/// Takes the request, and says nothing before it is let go.
pub fn silent(words: &[String]) -> Script {
    let texts = words.iter().map(|word| Step::Text(word.clone()));
    ending([Step::Gate, Step::Head].into_iter().chain(texts).collect())
}

/// Speaks on and on.
pub fn endless(words: &[String], dice: &mut Dice) -> Script {
    ending(paced(words, dice))
}

fn paced(words: &[String], dice: &mut Dice) -> Vec<Step> {
    let mut step = |word: &String| {
        let pause = Duration::from_millis(dice.between(1, 20) as u64);
        [Step::Text(word.clone()), Step::Wait(pause)]
    };
    words.iter().flat_map(&mut step).collect()
}

fn ending(mut steps: Vec<Step>) -> Script {
    let (prompt, completion) = USAGE;
    steps.extend([Step::Usage { prompt, completion }, Step::Finish("stop")]);
    Script::of(steps)
}

/// Reads on until the text is so long; what was read is added to what was seen.
pub async fn read(events: &mut Events, seen: &mut Vec<Shown>, bytes: usize) {
    while text(seen).len() < bytes {
        let event = events.said().await.expect("more of the text");
        assert_eq!(event.name, "delta", "an end too early: {event:?} after {:?}", text(seen));
        seen.push(event);
    }
}

pub const fn is_lost(ending: Ending) -> bool {
    matches!(ending, Ending::Interrupted { reason: Interruption::NodeLost, .. })
}
