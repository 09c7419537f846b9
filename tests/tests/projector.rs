//! The projector and the history read model: each event once, live equal to rebuilt, stuck where it must be.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::time::Duration;

use domain::chat::place::{After, Speaker};
use domain::ids::{ClaimId, MessageId, UserId};
use projections::history::{self, Cursor, HistoryQuery, Scope};
use projections::{Change, History, Projection};
use projector::{RebuildError, State, Worker, rebuild};
use serde_json::json;
use store::{Db, Position, ReadModel, on};
use tests::scribe::{Scribe, tell};
use tests::stage::PATIENCE;
use tests::{Stage, on_both_engines};
use tokio_util::sync::CancellationToken;

/// Every row of the read model, in the order of its keys.
async fn dump(db: &Db) -> Vec<String> {
    let mut all = Vec::new();
    let conversations = "id, owner, name, name_key, title, title_key, favourite, archived, version, leaf, messages, \
                         created_at, updated_at, touched";
    let messages = "id, conversation, owner, role, content, model, parent, shown, next, answers, state, reason, prompt_tokens, \
                    completion_tokens, estimated, rating, created_at, updated_at, position";
    let attachments = "id, message, conversation, owner, name, media_type, size, digest, kept_as, created_at, position";
    let tables = [
        ("conversations", conversations),
        ("messages", messages),
        ("owners", "id, messages"),
        ("attachments", attachments),
    ];
    for (table, columns) in tables {
        // SQLite keeps ids as bytes, which are no text.
        let cells: Vec<String> = columns
            .split(", ")
            .map(|column| match (db, column) {
                (
                    Db::Sqlite(_),
                    "id" | "owner" | "conversation" | "message" | "parent" | "next" | "answers" | "leaf" | "kept_as",
                ) => {
                    format!("coalesce(hex({column}), '-')")
                }
                _ => format!("coalesce(cast({column} as text), '-')"),
            })
            .collect();
        let (row, key) = (cells.join(" || ' | ' || "), "id");
        let sql = format!("select '{table} ' || {row} from {table} order by {key}");
        let rows: Vec<String> = on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).unwrap();
        all.extend(rows);
    }
    all
}

async fn whole_page(model: &ReadModel, owner: UserId) -> history::HistoryPage {
    let query = HistoryQuery { owner, scope: Scope::All, cursor: Cursor::Newest, skip: 0, limit: 1_000 };
    history::page(model.db(), query).await.unwrap().unwrap()
}

fn owners(count: usize) -> Vec<UserId> {
    (0..count).map(|_| store::fresh_id()).collect()
}

on_both_engines! {
    async fn live_and_rebuilt_are_equal_byte_for_byte(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        stage.project(&live);
        let mut scribe = Scribe::new(&stage.log);
        tell(&mut scribe, &owners(5), 120).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 20, "little is left to compare");
        let reached = rebuild::<History>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(reached, stage.log.head().await.unwrap());
        assert_eq!(dump(live.db()).await, before);
        // And life goes on from there.
        let owner = store::fresh_id();
        let room = scribe.start(owner).await;
        scribe.post(owner, room, "hello").await;
        stage.settle(&live).await;
        assert!(dump(live.db()).await.len() > before.len());
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.history().await;
        let mut scribe = Scribe::new(&stage.log);
        tell(&mut scribe, &owners(3), 60).await;
        let events = stage.log.read(Position::START, 10_000).await.unwrap();
        let changes: Vec<Change> = events.iter().map(|event| Change::try_from(event).unwrap()).collect();
        for chunk in changes.chunks(7) {
            let mut batch = live.begin().await.unwrap();
            History::apply(&mut batch.tx, chunk).await.unwrap();
            batch.commit(chunk.last().unwrap().position).await.unwrap();
        }
        let small = dump(live.db()).await;
        rebuild::<History>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, small);
    }

    // What begins a branch is written by itself, whatever comes with it in a batch.
    async fn a_batch_of_one_makes_the_same_rows(stage: Stage) {
        let live = stage.history().await;
        let mut scribe = Scribe::new(&stage.log);
        let ann = store::fresh_id();
        for (speaker, text) in [(Speaker::Assistant, "Welcome"), (Speaker::User, "\u{1b}\u{7f}")] {
            let room = scribe.start(ann).await;
            let first = scribe.speak(ann, room, After::Latest, speaker, text).await;
            scribe.speak(ann, room, After::Message(first), Speaker::User, "What is this?").await;
            let anew = scribe.start(ann).await;
            scribe.speak(ann, anew, After::Nothing, Speaker::User, "Hello").await;
        }
        for event in stage.log.read(Position::START, 10_000).await.unwrap() {
            let mut batch = live.begin().await.unwrap();
            History::apply(&mut batch.tx, &[Change::try_from(&event).unwrap()]).await.unwrap();
            batch.commit(event.position).await.unwrap();
        }
        let small = dump(live.db()).await;
        assert_eq!(small.iter().filter(|row| row.contains("What is this?") && row.starts_with("conv")).count(), 2);
        rebuild::<History>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, small);
    }

    async fn a_page_shows_each_message_in_its_place(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        stage.project(&live);
        let (ann, bob) = (store::fresh_id(), store::fresh_id());
        let mut scribe = Scribe::new(&stage.log);
        let (room, other) = (scribe.start(ann).await, scribe.start(bob).await);
        for n in 0..10 {
            let message = scribe.post(ann, room, &format!("m{n}")).await;
            let reply = scribe.request(ann, room, message).await;
            scribe.complete(reply, &format!("r{n}")).await;
            scribe.post(bob, other, "not hers").await;
        }
        stage.settle(&live).await;
        let page = whole_page(&live, ann).await;
        let expected: Vec<_> = (0..10).flat_map(|n| [format!("m{n}"), format!("r{n}")]).collect();
        assert_eq!(page.messages.iter().map(|it| it.content.clone()).collect::<Vec<_>>(), expected);
        assert_eq!((page.total, page.more_before), (20, false));

        let scope = Scope::Conversation(room);
        let mut query = HistoryQuery { owner: ann, scope, cursor: Cursor::Newest, skip: 0, limit: 6 };
        let mut backwards = Vec::new();
        loop {
            let page = history::page(live.db(), query).await.unwrap().unwrap();
            assert_eq!(page.total, 20);
            backwards.splice(0..0, page.messages.iter().map(|it| it.content.clone()));
            if !page.more_before {
                break;
            }
            query.cursor = Cursor::Before(page.messages[0].position);
        }
        assert_eq!(backwards, expected);
        query.cursor = Cursor::After(Position::START);
        assert_eq!(history::page(live.db(), query).await.unwrap().unwrap().messages[5].content, "r2");
        assert_eq!(history::page(live.db(), HistoryQuery { owner: bob, ..query }).await.unwrap(), None);
    }

    async fn a_deleted_conversation_takes_its_messages_along(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        stage.project(&live);
        let ann = store::fresh_id();
        let mut scribe = Scribe::new(&stage.log);
        let (kept, gone) = (scribe.start(ann).await, scribe.start(ann).await);
        scribe.post(ann, kept, "kept").await;
        let message = scribe.post(ann, gone, "gone").await;
        let reply = scribe.request(ann, gone, message).await;
        scribe.delete(ann, gone).await;
        scribe.complete(reply, "too late").await;
        stage.settle(&live).await;
        let page = whole_page(&live, ann).await;
        assert_eq!(page.messages.iter().map(|it| it.content.as_str()).collect::<Vec<_>>(), ["kept"]);
        assert_eq!(page.total, 1);
        let rooms = history::conversations_of(live.db(), ann).await.unwrap();
        assert_eq!(rooms.iter().map(|it| (it.conversation, it.messages)).collect::<Vec<_>>(), [(kept, 1)]);
    }

    async fn an_event_that_nobody_knows_stops_the_projection_and_is_not_skipped(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        let mut state = stage.project(&live);
        let ann = store::fresh_id();
        let mut scribe = Scribe::new(&stage.log);
        let room = scribe.start(ann).await;
        scribe.post(ann, room, "before").await;
        scribe.write("message", store::fresh_id::<MessageId>(), "FromTheFuture", json!({})).await;
        scribe.post(ann, room, "after").await;
        let stuck = |state: &State| matches!(state, State::Stuck { at, .. } if at.get() == 3);
        tokio::time::timeout(PATIENCE, state.wait_for(stuck)).await.expect("it says that it is stuck").unwrap();
        assert_eq!(live.position().await.unwrap().get(), 2, "what came before is in, what came after is not");
        assert_eq!(whole_page(&live, ann).await.total, 1);
        let failed = rebuild::<History>(&stage.log, &live, |_, _| {}).await;
        assert!(matches!(failed, Err(RebuildError::Stuck { at, .. }) if at.get() == 3));
        assert_eq!(whole_page(&live, ann).await.total, 1, "a rebuild that fails leaves the live one");
    }

    async fn what_does_not_concern_it_leaves_nothing_and_is_passed_by(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        stage.project(&live);
        let elsewhere = ReadModel::open(&store::read_model::Home::beside(stage.log.db().clone()), History::SPEC).await;
        let elsewhere = elsewhere.unwrap();
        let (ann, mut scribe) = (store::fresh_id::<UserId>(), Scribe::new(&stage.log));
        let name = json!({"kind": "username", "by": ann});
        for _ in 0..3 {
            let before = dump(live.db()).await;
            scribe.write("claim", store::fresh_id::<ClaimId>(), "Claimed", name.clone()).await;
            stage.settle(&live).await;
            assert_eq!(dump(live.db()).await, before);
            // The checkpoint follows, for those who know of nothing else.
            stage.settle(&elsewhere).await;
            let room = scribe.start(ann).await;
            scribe.post(ann, room, "this does").await;
            stage.settle(&elsewhere).await;
            assert_eq!(live.checkpoint().await.unwrap(), stage.log.head().await.unwrap());
        }
    }

    async fn two_workers_apply_each_event_once(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        let log = stage.another_log();
        let home = store::read_model::Home::beside(log.db().clone());
        for log in [stage.log.clone(), log] {
            let model = ReadModel::open(&home, History::SPEC).await.unwrap();
            let worker = Worker::new(log, stage.bus.clone(), model);
            let stop = stop.clone();
            tokio::spawn(async move { worker.run::<History>(stop).await });
        }
        let mut scribe = Scribe::new(&stage.log);
        tell(&mut scribe, &owners(3), 80).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        rebuild::<History>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert_eq!(dump(live.db()).await, before);
    }

    async fn an_event_that_is_delivered_twice_changes_nothing(stage: Stage) {
        let live = stage.history().await;
        let ann = store::fresh_id();
        let mut scribe = Scribe::new(&stage.log);
        let room = scribe.start(ann).await;
        scribe.post(ann, room, "once").await;
        for _ in 0..2 {
            let worker = Worker::new(stage.log.clone(), stage.bus.clone(), live.clone());
            let stop = CancellationToken::new();
            let run = worker.run::<History>(stop.clone());
            let settled = async {
                stage.settle(&live).await;
                stop.cancel();
            };
            tokio::join!(run, settled);
        }
        assert_eq!(whole_page(&live, ann).await.total, 1);
    }

    async fn a_rebuild_answers_from_the_live_one_until_it_swaps(stage: Stage) {
        let live = stage.history().await;
        stage.relay();
        stage.project(&live);
        let ann = store::fresh_id();
        let mut scribe = Scribe::new(&stage.log);
        let room = scribe.start(ann).await;
        let writes = async {
            for n in 0..400 {
                scribe.post(ann, room, &format!("m{n}")).await;
            }
        };
        let rebuilds = async {
            for _ in 0..5 {
                rebuild::<History>(&stage.log, &live, |_, _| {}).await.unwrap();
            }
        };
        let (done, mut seen) = (CancellationToken::new(), 0);
        let reads = async {
            while !done.is_cancelled() {
                let head = stage.log.head().await.unwrap();
                if live.wait_for(head, Duration::from_secs(10)).await.unwrap() {
                    let total = whole_page(&live, ann).await.total;
                    assert!(total + 1 >= u64::try_from(head.get()).unwrap(), "{total} messages at {head}");
                    assert!(total >= seen, "history went back from {seen} to {total}");
                    seen = total;
                }
            }
        };
        let work = async {
            tokio::join!(writes, rebuilds);
            done.cancel();
        };
        tokio::join!(work, reads);
        stage.settle(&live).await;
        assert_eq!(whole_page(&live, ann).await.total, 400);
    }

    async fn one_rebuild_at_a_time_and_its_leftovers_are_cleaned(stage: Stage) {
        let live = stage.history().await;
        let lease = live.rebuild_lease().await.unwrap().unwrap();
        let running = rebuild::<History>(&stage.log, &live, |_, _| {}).await;
        assert!(matches!(running, Err(RebuildError::Running("history"))));
        // A rebuild that dies half-way leaves a copy behind.
        let copy = live.copy(&lease).await.unwrap();
        copy.close().await;
        live.clean().await.unwrap();
        assert_eq!(copies(&stage).await, 2, "who does not hold the lease cleans nothing");
        drop(lease);
        // The lease is gone when its connection is.
        let cleaned = async {
            while copies(&stage).await > 1 {
                live.clean().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, cleaned).await.expect("the copy is dropped");
        assert_eq!(whole_page(&live, store::fresh_id()).await.total, 0);
    }
}

/// How many copies of `history` there are, the live one among them.
async fn copies(stage: &Stage) -> usize {
    match stage.log.db() {
        Db::Postgres(postgres) => {
            let sql = "select count(*) from information_schema.schemata where schema_name like 'history%'";
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&postgres.pool).await.unwrap();
            usize::try_from(count).unwrap()
        }
        Db::Sqlite(_) => {
            let files = std::fs::read_dir(stage.folder()).unwrap().map(|entry| entry.unwrap().file_name());
            files
                .filter(|name| {
                    name.to_string_lossy().starts_with("history-") && name.to_string_lossy().ends_with(".db")
                })
                .count()
        }
    }
}
