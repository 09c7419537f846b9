//! The node that makes a reply stands still for so long that it counts as dead, and goes on then.

use tests::sse::{Event, Events, text};
use tests::{Asker, Dice};

use super::cast::{Cast, SERVES, gated, is_lost, read, silent, words};
use crate::house::{Node, eventually};

/// A reply in the midst of its text, whose maker stands still. Fields go in order: the nodes before what they stand on.
struct Frozen {
    maker: Node,
    serves: Node,
    cast: Cast,
    reply: String,
    before: String,
    whole: String,
    events: Events,
    seen: Vec<Event>,
}

impl Frozen {
    async fn scene() -> Self {
        let mut dice = Dice::cast();
        let cast = Cast::postgres_nats().await;
        let (mut maker, serves) = tokio::join!(cast.node("reply"), cast.node(SERVES));
        let ann = Asker::register(&serves.url(), "ann").await;
        let words = words(&mut dice, 20);
        let (first, rest) = words.split_at(10);
        let (before, whole) = (first.concat(), words.concat());
        cast.fake.always("one", gated(first, rest, &mut dice));
        let mut events = ann.stream(&serves.url(), "one").await;
        let mut seen = vec![events.said().await.expect("a start")];
        let reply = seen[0].data["id"].as_str().expect("an id").to_owned();
        read(&mut events, &mut seen, before.len()).await;
        maker.process().child().signal("STOP");
        Self { maker, serves, cast, reply, before, whole, events, seen }
    }

    async fn end(mut self, text_in_the_end: &str) {
        self.seen.extend(self.events.rest().await);
        assert_eq!(text(&self.seen), text_in_the_end);
        assert_eq!(self.cast.all_ended().await[&self.reply].said.text, text_in_the_end);
        assert_eq!(self.cast.fake.asked().len(), 1, "a provider was asked twice");
        self.maker.has_found_no_fault_of_its_own();
        self.serves.has_found_no_fault_of_its_own();
    }
}

#[tokio::test]
async fn a_node_that_stood_still_goes_on_with_its_reply() {
    let mut scene = Frozen::scene().await;
    // It comes after fifteen seconds of silence; NATS takes a node for dead after ten.
    assert_eq!(scene.events.next().await.expect("a stream that goes on").name, "heartbeat");
    scene.maker.process().child().signal("CONT");
    assert_eq!(scene.events.next().await.expect("a stream that goes on").name, "heartbeat");
    scene.cast.fake.release();
    let whole = scene.whole.clone();
    scene.end(&whole).await;
}

#[tokio::test]
async fn what_another_node_has_ended_is_left_by_the_one_that_stood_still() {
    let mut scene = Frozen::scene().await;
    let mut other = scene.cast.node("reply").await;
    let ended = scene.cast.until_ended(1).await;
    assert!(is_lost(ended[&scene.reply].ending), "{ended:?}");
    scene.maker.process().child().signal("CONT");
    scene.cast.fake.closed_by_client().await;
    scene.cast.fake.release();
    let before = scene.before.clone();
    scene.end(&before).await;
    other.has_found_no_fault_of_its_own();
}

/// Both have asked for it, as it had said nothing, and both hear of its end: a title would be paid for twice.
#[tokio::test]
async fn whoever_ended_a_reply_has_it_named_and_nobody_else_has() {
    let cast = Cast::postgres_nats().await;
    let (mut maker, serves) = tokio::join!(cast.namer("one"), cast.node(SERVES));
    let ann = Asker::register(&serves.url(), "ann").await;
    for model in ["one", "two"] {
        cast.fake.always(model, silent(&["an answer".to_owned()]));
    }
    let titles_of = |model: &str| {
        let about = |it: &str| it.contains(&format!("question for {model}")) && it.contains("Name this conversation");
        cast.fake.asked().iter().filter(|asked| about(&asked.messages.to_string())).count()
    };
    ann.ask(&serves.url(), "one").await;
    cast.fake.until_asked(1).await;
    maker.process().child().signal("STOP");
    let mut other = cast.namer("two").await;
    cast.fake.until_asked(2).await;
    cast.fake.release();
    cast.until_ended(1).await;
    eventually("a title that is asked for", async || (titles_of("one") > 0).then_some(())).await;
    // What comes next is made by the one that stood still, which has heard of that end by then.
    other.process().child().signal("STOP");
    maker.process().child().signal("CONT");
    ann.ask(&serves.url(), "two").await;
    cast.until_asked_of("two".to_owned(), 1).await;
    cast.fake.release();
    cast.until_ended(2).await;
    eventually("another title", async || (titles_of("two") > 0).then_some(())).await;
    assert_eq!((titles_of("one"), titles_of("two")), (1, 1));
    maker.has_found_no_fault_of_its_own();
}
