//! Is what is nearest really found? Compared with all vectors, one by one.

use std::time::Instant;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::embeddings::{MODEL, Nearest, Page, embed, page};
use projections::history::Role;
use projections::search::Among;
use store::{ReadModel, fresh_id};
use tests::{Dice, Stage, on_both_engines};

use crate::cast::{all, completed, feed, near, posted, requested, started, words};

/// Messages of some owner, and their vectors.
struct Library {
    owner: UserId,
    rooms: Vec<ConversationId>,
    texts: Vec<(MessageId, ConversationId, Vec<f32>)>,
}

impl Library {
    fn of(count: usize, dice: &mut Dice) -> (Self, Vec<domain::Event>) {
        let (owner, rooms): (UserId, Vec<ConversationId>) = (fresh_id(), (0..4).map(|_| fresh_id()).collect());
        let mut events: Vec<_> = rooms.iter().zip(0..).map(|(room, nth)| started(*room, owner, nth == 0)).collect();
        let mut texts = Vec::with_capacity(count);
        for number in 0..count {
            let (id, room, text) = (fresh_id(), rooms[number % rooms.len()], words(dice));
            if number % 8 < 4 {
                events.push(posted(id, room, owner, &text));
            } else {
                events.extend([requested(id, room, owner), completed(id, owner, &text)]);
            }
            texts.push((id, room, embed(&text).unwrap()));
        }
        (Self { owner, rooms, texts }, events)
    }

    /// The ten nearest, by comparing all.
    fn exact(&self, query: &str, is_wanted: impl Fn(usize) -> bool) -> Vec<MessageId> {
        let query = embed(query).unwrap();
        let likeness =
            |vector: &[f32]| -> f64 { query.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
        let wanted = self.texts.iter().enumerate().filter(|(number, _)| is_wanted(*number));
        let mut rated: Vec<_> = wanted.map(|(number, (id, _, vector))| (likeness(vector), number, *id)).collect();
        rated.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.cmp(&one.1)));
        rated.into_iter().take(10).map(|(.., id)| id).collect()
    }

    /// Of twenty questions' ten nearest each, how many are found.
    async fn recall(&self, live: &ReadModel, dice: &mut Dice) -> f64 {
        let mut hits: u32 = 0;
        for _ in 0..20 {
            let query = words(dice);
            let found = near(live, &all(self.owner), &query, 10).await;
            let exact = self.exact(&query, |_| true);
            assert_eq!(found.len(), 10);
            hits += u32::try_from(found.iter().filter(|it| exact.contains(&it.message)).count()).unwrap();
        }
        f64::from(hits) / 200.0
    }
}

/// By a message's number.
type IsWanted = Box<dyn Fn(usize) -> bool>;

on_both_engines! {
    async fn the_ten_nearest_are_found(stage: Stage) {
        let (live, mut dice) = (stage.embeddings().await, Dice::cast());
        // The small one has a hundredth of all.
        let (large, events) = Library::of(5_000, &mut dice);
        feed(&live, &events, 5_000).await;
        let (small, events) = Library::of(50, &mut dice);
        feed(&live, &events, 5_000).await;
        for library in [large, small] {
            let began = Instant::now();
            let recall = library.recall(&live, &mut dice).await;
            eprintln!("{} of one owner: recall {recall}, {:?} for each", library.texts.len(), began.elapsed() / 20);
            assert!(recall >= 0.99, "{recall} of {}", library.texts.len());
        }
    }

    async fn pages_are_parts_of_one_list(stage: Stage) {
        let (live, mut dice) = (stage.embeddings().await, Dice::cast());
        // More than are compared exactly, on either engine.
        let (library, events) = Library::of(3_000, &mut dice);
        feed(&live, &events, 1_000).await;
        let (among, query) = (all(library.owner), words(&mut dice));
        let vector = embed(&query).unwrap();
        let part = Nearest { among: &among, model: MODEL, vector: &vector, limit: 90 };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let Page { found, next } = page(live.db(), &part, after).await.unwrap();
            pages.extend(found);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages.len(), 1_000);
        assert_eq!(pages, near(&live, &among, &query, 1_000).await);
    }

    async fn filters_leave_out_what_is_not_wanted(stage: Stage) {
        let (live, mut dice) = (stage.embeddings().await, Dice::cast());
        let (library, events) = Library::of(1_000, &mut dice);
        feed(&live, &events, 600).await;
        let (query, rooms) = (words(&mut dice), &library.rooms);
        let open = all(library.owner);
        let every = near(&live, &open, &query, 2_000).await;
        assert_eq!(every.len(), 1_000);
        let middle = every.iter().find(|it| it.message == library.texts[500].0).unwrap().created_at;
        let before = |number: usize| number < 500;
        let wanted: [(Among, IsWanted); 7] = [
            (Among { conversation: Some(rooms[2]), ..open.clone() }, Box::new(|number| number % 4 == 2)),
            (Among { role: Some(Role::Bot), ..open.clone() }, Box::new(|number| number % 8 >= 4)),
            (Among { favourite: Some(true), ..open.clone() }, Box::new(|number| number % 4 == 0)),
            (Among { favourite: Some(false), ..open.clone() }, Box::new(|number| number % 4 != 0)),
            (Among { until: Some(middle), ..open.clone() }, Box::new(before)),
            (Among { since: Some(middle), ..open.clone() }, Box::new(move |number| !before(number))),
            (
                Among { since: Some(middle), role: Some(Role::User), favourite: Some(true), ..open.clone() },
                Box::new(move |number| !before(number) && number % 8 < 4 && number % 4 == 0),
            ),
        ];
        for (filter, is_wanted) in wanted {
            let found = near(&live, &filter, &query, 10).await;
            let exact = library.exact(&query, is_wanted);
            // Those that are as near as the last may be others.
            let last = found[9].distance - 1e-5;
            let sure: Vec<_> = found.iter().filter(|it| it.distance < last).map(|it| it.message).collect();
            assert!(sure.len() > 4 && sure.iter().all(|it| exact.contains(it)), "{filter:?}: {found:?}, not {exact:?}");
            assert_eq!(every.iter().filter(|it| exact.contains(&it.message)).count(), 10);
        }
        let nothing = Among { since: Some(Timestamp::from_micros(i64::MAX)), ..open.clone() };
        assert_eq!(near(&live, &nothing, &query, 10).await, []);
    }
}
