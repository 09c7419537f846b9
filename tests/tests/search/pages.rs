//! Page after page: each hit once, the best of each window first.

use std::collections::{BTreeMap, BTreeSet};

use domain::Event;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::search::{Among, Hit, Sought};
use store::{ReadModel, fresh_id};
use tests::{Dice, Stage, on_both_engines};

use crate::cast::{all, feed, message_deleted, page, posted, sought, started};

/// How many matches are ranked together.
const WINDOW: usize = 1_000;

/// A conversation of so many messages; of each word it is said in how many of a thousand it is.
struct Shelf {
    owner: UserId,
    room: ConversationId,
    texts: BTreeMap<MessageId, String>,
}

impl Shelf {
    async fn filled(model: &ReadModel, dice: &mut Dice, count: usize, words: &[(&str, usize)]) -> Self {
        let mut shelf = Self { owner: fresh_id(), room: fresh_id(), texts: BTreeMap::new() };
        feed(model, &[started(shelf.room, shelf.owner)], 1).await;
        shelf.add(model, dice, count, words).await;
        shelf
    }

    async fn add(&mut self, model: &ReadModel, dice: &mut Dice, count: usize, words: &[(&str, usize)]) {
        let events: Vec<Event> = (0..count).map(|_| self.message(dice, words)).collect();
        feed(model, &events, 1_000).await;
    }

    fn message(&mut self, dice: &mut Dice, words: &[(&str, usize)]) -> Event {
        let mut said: Vec<&str> = vec!["filler"; dice.between(1, 6)];
        for (word, often) in words {
            if dice.below(1_000) < *often {
                said.extend(vec![*word; dice.between(1, 3)]);
            }
        }
        let (id, text) = (fresh_id(), said.join(" "));
        let event = posted(id, self.room, self.owner, &text);
        self.texts.insert(id, text);
        event
    }

    fn with(&self, word: &str) -> BTreeSet<MessageId> {
        let has = |text: &&String| text.split(' ').any(|it| it == word);
        self.texts.iter().filter(|(_, text)| has(text)).map(|(id, _)| *id).collect()
    }
}

/// All pages, one after the other.
async fn walk(model: &ReadModel, sought: &Sought, size: impl Fn() -> usize) -> Vec<Hit> {
    let (mut hits, mut after) = (Vec::new(), None);
    loop {
        let size = size();
        let found = page(model, sought, after, size).await;
        assert!(found.hits.len() == size || found.next.is_none(), "a page is full, or it is the last");
        assert!(!found.hits.is_empty() || hits.is_empty(), "no page comes for nothing");
        hits.extend(found.hits);
        after = found.next;
        if after.is_none() {
            return hits;
        }
    }
}

/// All that were expected, each once.
fn check(hits: &[Hit], expected: &BTreeSet<MessageId>, what: &str) {
    let seen: BTreeSet<_> = hits.iter().map(|hit| hit.message).collect();
    assert_eq!((hits.len(), &seen), (seen.len(), expected), "{what}");
}

on_both_engines! {
    async fn every_match_is_found_once(stage: Stage) {
        let (live, mut dice) = (stage.search().await, Dice::cast());
        // On Postgres these go different ways: by the newest messages, by more of them, by the index.
        let words = [("always", 1_000), ("often", 600), ("seldom", 150), ("rarely", 30), ("once", 1), ("never", 0)];
        let shelf = Shelf::filled(&live, &mut dice, 2_600, &words).await;
        Shelf::filled(&live, &mut dice, 50, &words).await;
        for (word, _) in words {
            for size in [dice.between(1, 9) * 50, 100, 997, 1_000, 5_000] {
                let hits = walk(&live, &sought(&all(shelf.owner), word), || size).await;
                check(&hits, &shelf.with(word), &format!("{word} by {size}"));
            }
        }
        for among in [
            Among { conversation: Some(shelf.room), ..all(shelf.owner) },
            Among { favourite: Some(false), ..all(shelf.owner) },
            Among { since: Some(crate::cast::moment(1)), until: Some(crate::cast::moment(1 << 30)), ..all(shelf.owner) },
        ] {
            for word in ["always", "seldom", "once"] {
                let hits = walk(&live, &sought(&among, word), || 321).await;
                check(&hits, &shelf.with(word), &format!("{word} among {among:?}"));
            }
        }
        let both = walk(&live, &sought(&all(shelf.owner), "often seldom -rarely"), || 70).await;
        let (often, seldom, rarely) = (shelf.with("often"), shelf.with("seldom"), shelf.with("rarely"));
        let expected = often.intersection(&seldom).copied().collect::<BTreeSet<_>>().difference(&rarely).copied().collect();
        check(&both, &expected, "often seldom -rarely");
    }

    async fn windows_go_from_the_newest_on_and_are_ranked_within(stage: Stage) {
        let (live, mut dice) = (stage.search().await, Dice::cast());
        let shelf = Shelf::filled(&live, &mut dice, 2_300, &[("word", 1_000)]).await;
        let hits = walk(&live, &sought(&all(shelf.owner), "word"), || 100).await;
        let newest = |window: &[Hit]| window.iter().map(|hit| hit.position).max();
        let oldest = |window: &[Hit]| window.iter().map(|hit| hit.position).min();
        let windows: Vec<_> = hits.chunks(WINDOW).collect();
        assert_eq!(windows.len(), 3);
        for window in &windows {
            assert!(window.is_sorted_by(|one, other| (one.score, one.position) > (other.score, other.position)));
        }
        assert!(windows.windows(2).all(|two| oldest(two[0]) > newest(two[1])));
    }

    async fn what_comes_and_goes_meanwhile_hides_nothing_and_shows_nothing_twice(stage: Stage) {
        let (live, mut dice) = (stage.search().await, Dice::cast());
        let words = [("word", 900), ("other", 300)];
        let mut shelf = Shelf::filled(&live, &mut dice, 1_500, &words).await;
        let (sought, there) = (sought(&all(shelf.owner), "word"), shelf.with("word"));
        let (mut seen, mut after, mut gone) = (BTreeSet::new(), None, BTreeSet::new());
        loop {
            let found = page(&live, &sought, after, 90).await;
            for hit in &found.hits {
                assert!(seen.insert(hit.message), "shown twice");
                assert!(there.contains(&hit.message), "it came later than the first page");
            }
            after = found.next;
            if after.is_none() {
                break;
            }
            // The last that was shown, and some others.
            let last = found.hits.last().map(|hit| hit.message);
            let others: Vec<_> = shelf.texts.keys().copied().filter(|_| dice.below(100) == 0).collect();
            let deleted: Vec<_> = others.into_iter().chain(last).collect();
            let events: Vec<_> = deleted.iter().map(|id| message_deleted(*id, shelf.room, shelf.owner)).collect();
            feed(&live, &events, 100).await;
            gone.extend(deleted);
            shelf.add(&live, &mut dice, 7, &words).await;
        }
        let missed: Vec<_> = there.difference(&seen).filter(|id| !gone.contains(*id)).collect();
        assert!(missed.is_empty(), "{} were never shown", missed.len());
    }
}
