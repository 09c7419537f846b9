//! The node that makes replies is killed: each of them ends once, and none is lost.

use futures::future::join_all;
use tests::sse::{Event, Events, text};
use tests::{Asker, Dice, Since};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::cast::{ALL, Cast, Ended, SERVES, SOON, endless, gated, is_lost, read, silent, words};
use crate::house::{Node, eventually};

const REPLIES: usize = 100;

/// How far a reply was when its node died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Silent,
    /// It has said something, and its provider pauses.
    Paused,
    /// It is being said.
    Speaking,
}

struct Reply {
    model: String,
    stage: Stage,
    /// What it would come to.
    text: String,
    /// What was said for certain when its node died.
    least: usize,
    /// What it had said at most.
    most: usize,
    id: String,
}

impl Reply {
    /// Asks for it, at some node.
    async fn ask(cast: &Cast, dice: &mut Dice, number: usize, ann: &Asker, url: &str) -> Self {
        let (model, count) = (format!("m{number}"), 20);
        let stage = [Stage::Silent, Stage::Paused, Stage::Speaking][number % 3];
        let words = words(dice, if stage == Stage::Speaking { 5_000 } else { count });
        let (before, after) = words.split_at(count / 2);
        let text = words.concat();
        let (script, least, most) = match stage {
            Stage::Silent => (silent(&words), 0, 0),
            Stage::Paused => (gated(before, after, dice), before.concat().len(), before.concat().len()),
            Stage::Speaking => (endless(&words, dice), 1, text.len()),
        };
        cast.fake.always(&model, script);
        let id = ann.ask(url, &model).await;
        Self { model, stage, text, least, most, id }
    }

    /// Reads what is said before its node dies.
    async fn begin(&self, ann: &Asker, url: &str) -> (Events, Vec<Event>) {
        let (mut events, mut seen) = (ann.resume(url, &self.id, Since::Query(0)).await, Vec::new());
        seen.extend(events.said().await);
        read(&mut events, &mut seen, self.least).await;
        (events, seen)
    }

    /// Leaves somebody there who reads the rest.
    async fn watch(&self, ann: &Asker, url: &str) -> JoinHandle<Vec<Event>> {
        let (events, seen) = self.begin(ann, url).await;
        tokio::spawn(all(events, seen))
    }

    /// Leaves somebody there who reads for as long as the node lives that is watched.
    async fn watch_until_it_dies(&self, ann: &Asker, url: &str) -> JoinHandle<Vec<Event>> {
        let (events, mut seen) = self.begin(ann, url).await;
        tokio::spawn(async move {
            seen.extend(events.until_it_dies().await);
            seen
        })
    }

    fn check(&self, ended: &Ended, watched: &[Event], asked: usize) {
        let Ended { ending, said } = ended;
        if self.stage == Stage::Silent {
            assert_eq!((&said.text, asked), (&self.text, 2), "{}: it is asked again, and whole", self.model);
            assert!(!is_lost(*ending), "{}: {ending:?}", self.model);
        } else {
            assert!(is_lost(*ending), "{}: {ending:?}", self.model);
            assert!(self.text.starts_with(&said.text), "{}: {:?}", self.model, said.text);
            assert!((self.least..=self.most).contains(&said.text.len()), "{}: {:?}", self.model, said.text);
            assert_eq!(asked, 1, "{}: two providers speak", self.model);
        }
        assert_eq!(text(watched), said.text, "{}: who watched it elsewhere", self.model);
        let end = if is_lost(*ending) { "message.interrupted" } else { "message.completed" };
        assert_eq!(watched[watched.len() - 1].name, end);
    }
}

async fn all(events: Events, mut seen: Vec<Event>) -> Vec<Event> {
    seen.extend(events.rest().await);
    seen
}

/// The victim has every lease, and is the only one that makes replies: all of it is for others to take over.
#[tokio::test]
async fn a_hundred_replies_of_a_node_that_is_killed_end_once_each() {
    let mut dice = Dice::cast();
    let cast = Cast::postgres_nats().await;
    let mut victim = cast.node(ALL).await;
    let others: [Node; 2] = tokio::join!(cast.node(SERVES), cast.node(SERVES)).into();
    let urls: Vec<_> = others.iter().map(Node::url).collect();
    let ann = Asker::register(&urls[0], "ann").await;
    let mut replies = Vec::new();
    for number in 0..REPLIES {
        replies.push(Reply::ask(&cast, &mut dice, number, &ann, &urls[number % 2]).await);
    }
    cast.fake.until_asked(REPLIES).await;
    let watching = replies.iter().enumerate().map(|(n, reply)| reply.watch(&ann, &urls[(n + 1) % 2]));
    let watching = join_all(watching).await;
    assert_eq!(cast.fake.open(), REPLIES, "some have ended before their node");

    let killed = Instant::now();
    victim.kill().await;
    let rescuer = cast.node("reply").await;
    let silent = replies.iter().filter(|reply| reply.stage == Stage::Silent).count();
    cast.fake.until_asked(REPLIES + silent).await;
    cast.fake.release();
    let ended = cast.until_ended(REPLIES).await;
    let took = killed.elapsed();
    eprintln!("{REPLIES} replies have ended {took:?} after their node");
    assert!(took < SOON, "{took:?}");
    // And the one that was dead has nothing to add.
    victim.start().await;
    let watched = join_all(watching).await;
    for (reply, watched) in replies.iter().zip(watched) {
        let asked = cast.times_asked(&reply.model);
        reply.check(&ended[&reply.id], &watched.expect("somebody who watches"), asked);
        let shown = ann.message(&urls[0], &reply.id).await;
        assert_eq!(shown["content"], ended[&reply.id].said.text);
    }
    assert_eq!(cast.all_ended().await.len(), REPLIES);
    for mut node in others.into_iter().chain([rescuer, victim]) {
        node.has_found_no_fault_of_its_own();
    }
}

/// How many one node alone is asked for.
const ASKED: usize = 30;
const ECHO: &str = "You said: a question for echo";

/// One node alone is killed, also in the midst of being asked, and started again: what it had begun ends with all that
/// anybody has seen of it, and who comes back gets exactly the rest; what was only awaited is made.
#[tokio::test]
async fn one_node_on_sqlite_ends_after_its_death_what_it_had_begun_and_makes_the_rest() {
    let (mut dice, cast) = (Dice::cast(), Cast::sqlite().await);
    let mut node = cast.node(ALL).await;
    let url = node.url();
    let ann = Asker::register(&url, "ann").await;
    let over = ann.ask(&url, "echo").await;
    cast.until_ended(1).await;
    let mut replies = Vec::new();
    for number in 0..ASKED {
        replies.push(Reply::ask(&cast, &mut dice, number, &ann, &url).await);
    }
    cast.fake.until_asked(1 + ASKED).await;
    let watching = join_all(replies.iter().map(|reply| reply.watch_until_it_dies(&ann, &url))).await;
    let mut asking = JoinSet::new();
    for _ in 0..5 {
        let (ann, url) = (ann.clone(), url.clone());
        asking.spawn(async move { ann.ask_until_it_dies(&url, "echo").await });
    }
    cast.fake.until_asked(1 + ASKED + 1).await;
    node.kill().await;
    let acknowledged = asking.join_all().await.concat();
    let seen: Vec<Vec<Event>> =
        join_all(watching).await.into_iter().map(|seen| seen.expect("somebody who watches")).collect();
    let kept = cast.kept();
    for Reply { id, stage, .. } in &replies {
        assert_eq!(kept.contains(id), *stage != Stage::Silent, "{stage:?}: {kept:?}");
    }
    // As if it had died between an end and forgetting; and what lies there for another reason.
    cast.keep(&over, "You said: ");
    cast.keep("notes", "somebody else's");

    let killed = Instant::now();
    node.start().await;
    let mut watching = Vec::with_capacity(replies.len());
    for (reply, seen) in replies.iter().zip(&seen) {
        let events = ann.resume(&url, &reply.id, Since::Header(seen[seen.len() - 1].id)).await;
        watching.push(tokio::spawn(all(events, seen.clone())));
    }
    let silent = replies.iter().filter(|reply| reply.stage == Stage::Silent);
    join_all(silent.map(|reply| cast.until_asked_of(reply.model.clone(), 2))).await;
    cast.fake.release();
    let ended = cast.all_ended().await;
    eprintln!("{} replies have ended {:?} after the start", ended.len(), killed.elapsed());
    let watched = join_all(watching).await;
    for (reply, watched) in replies.iter().zip(watched) {
        let asked = cast.times_asked(&reply.model);
        reply.check(&ended[&reply.id], &watched.expect("somebody who watches"), asked);
        assert_eq!(ann.message(&url, &reply.id).await["content"], ended[&reply.id].said.text);
    }
    for reply in &acknowledged {
        let Ended { ending, said } = &ended[reply];
        let is_whole = if is_lost(*ending) { !said.text.is_empty() } else { said.text == ECHO };
        assert!(is_whole && ECHO.starts_with(&said.text), "{ending:?} after {:?}", said.text);
    }
    eventually("a folder without replies", async || (cast.kept() == ["notes"]).then_some(())).await;
    node.has_found_no_fault_of_its_own();
}
