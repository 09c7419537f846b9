//! Full-text search: what is found and what is not, page by page, by everybody in what is theirs; live equal to rebuilt.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's words are its panics")]

mod cast;
mod found;
mod http;
mod pages;
mod plans;

use domain::ids::UserId;
use projections::Search;
use projector::rebuild;
use store::{Position, ReadModel, fresh_id};
use tests::{Dice, Stage, on_both_engines};

use crate::cast::{dump, feed, posted, started, story};

async fn empty(model: &ReadModel) {
    let mut batch = model.begin().await.unwrap();
    let mut tables = vec!["search_messages", "search_awaited", "search_conversations"];
    tables.extend(matches!(model.db(), store::Db::Sqlite(_)).then_some("search_words"));
    for table in tables {
        let delete = format!("delete from {table}");
        store::on_tx!(&mut batch.tx, connection => sqlx::query(&delete).execute(connection).await.map(|_| ())).unwrap();
    }
    batch.commit(Position::START).await.unwrap();
}

fn owners() -> Vec<UserId> {
    (0..3).map(|_| fresh_id()).collect()
}

on_both_engines! {
    async fn live_and_rebuilt_are_equal_byte_for_byte(stage: Stage) {
        let live = stage.search().await;
        stage.relay();
        stage.project_as::<Search>(&live);
        let (mut dice, mut scribe, owners) = (Dice::cast(), tests::scribe::Scribe::new(&stage.log), owners());
        for event in story(&mut dice, &owners, 150) {
            scribe.record(&event, &domain::Metadata::default()).await;
        }
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 50, "little is left to compare");
        rebuild::<Search>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, before);
        // And life goes on from there.
        let room = fresh_id();
        for event in [started(room, owners[0]), posted(fresh_id(), room, owners[0], "hello")] {
            scribe.record(&event, &domain::Metadata::default()).await;
        }
        stage.settle(&live).await;
        assert!(dump(live.db()).await.len() > before.len());
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.search().await;
        let events = story(&mut Dice::cast(), &owners(), 150);
        let mut dumps = Vec::new();
        for size in [1, 7, events.len()] {
            feed(&live, &events, size).await;
            dumps.push(dump(live.db()).await);
            empty(&live).await;
        }
        assert!(dumps[0].len() > 50, "little is left to compare");
        assert_eq!(dumps[0], dumps[1]);
        assert_eq!(dumps[0], dumps[2]);
    }
}
