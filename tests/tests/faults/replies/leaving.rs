//! The node that makes replies is asked to stop: what has begun ends at once, and the rest is left to whoever goes on.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tests::{Asker, Dice, Since};

use super::cast::{ALL, Cast, Ended, SERVES, gated, is_lost, read, silent, words};
use crate::house::{Node, eventually};

const REPLIES: usize = 20;
/// Every second one has begun.
const BEGUN: usize = REPLIES / 2;
const AT_ONCE: Duration = Duration::from_secs(5);

/// Replies of which some have begun, and wait at the gate in the midst of their text.
struct Leaving<'a> {
    cast: &'a Cast,
    replies: Vec<Reply>,
}

struct Reply {
    id: String,
    /// Empty where nothing was said yet.
    before: String,
    whole: String,
}

impl<'a> Leaving<'a> {
    /// Asks for them at this node, and waits until each is where it should be.
    async fn scene(cast: &'a Cast, url: &str) -> Self {
        let (mut dice, ann, mut replies) = (Dice::cast(), Asker::register(url, "ann").await, Vec::new());
        for number in 0..REPLIES {
            let (model, words) = (format!("m{number}"), words(&mut dice, 20));
            let (first, rest) = words.split_at(if number % 2 == 0 { 10 } else { 0 });
            let script = if first.is_empty() { silent(&words) } else { gated(first, rest, &mut dice) };
            cast.fake.always(&model, script);
            replies.push(Reply { id: ann.ask(url, &model).await, before: first.concat(), whole: words.concat() });
        }
        cast.fake.until_asked(REPLIES).await;
        join_all(replies.iter().map(async |Reply { id, before, .. }| {
            read(&mut ann.resume(url, id, Since::Query(1)).await, &mut Vec::new(), before.len()).await;
        }))
        .await;
        Self { cast, replies }
    }

    /// Stops the node: what has begun is in the log by then, as far as it was said, and nothing else.
    async fn leave(&self, leaver: &mut Node) {
        let asked = Instant::now();
        assert!(leaver.process().terminate().await.success());
        assert!(asked.elapsed() < AT_ONCE, "it took {:?}", asked.elapsed());
        leaver.has_found_no_fault_of_its_own();
        let all = self.cast.replies().await;
        for Reply { id, before, .. } in &self.replies {
            match &all[id] {
                Some(Ended { ending, said }) => {
                    assert!(is_lost(*ending), "{ending:?}");
                    assert!(!before.is_empty() && &said.text == before, "{:?} of {before:?}", said.text);
                }
                None => assert!(before.is_empty(), "{before:?} has not ended"),
            }
        }
    }

    /// Somebody else asks for what was not begun, and makes it.
    async fn is_gone_on_with(&self) {
        self.cast.fake.until_asked(REPLIES + BEGUN).await;
        self.cast.fake.release();
        let ended = self.cast.until_ended(REPLIES).await;
        for Reply { id, whole, .. } in self.replies.iter().filter(|reply| reply.before.is_empty()) {
            assert!(!is_lost(ended[id].ending));
            assert_eq!(&ended[id].said.text, whole);
        }
        assert_eq!(self.cast.fake.asked().len(), REPLIES + BEGUN, "a provider was asked once too often");
    }
}

#[tokio::test]
async fn a_node_that_leaves_ends_what_it_has_begun_and_another_makes_the_rest() {
    let cast = Cast::postgres_nats().await;
    let (mut leaver, serves) = tokio::join!(cast.node("reply"), cast.node(SERVES));
    let scene = Leaving::scene(&cast, &serves.url()).await;
    let mut other = cast.node("reply").await;
    scene.leave(&mut leaver).await;
    scene.is_gone_on_with().await;
    other.has_found_no_fault_of_its_own();
}

#[tokio::test]
async fn one_node_on_sqlite_ends_what_it_has_begun_and_makes_the_rest_when_it_is_back() {
    let cast = Cast::sqlite().await;
    let mut node = cast.node(ALL).await;
    let scene = Leaving::scene(&cast, &node.url()).await;
    scene.leave(&mut node).await;
    assert_eq!(cast.kept(), [""; 0], "it is in the log, all of it");
    node.start().await;
    scene.is_gone_on_with().await;
    eventually("a folder without replies", async || cast.kept().is_empty().then_some(())).await;
    node.has_found_no_fault_of_its_own();
}
