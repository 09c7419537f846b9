//! The log on both engines: gapless, in commit order, atomic over streams, conflicts to the guilty alone.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::collections::HashSet;

use domain::Timestamp;
use futures::future::join_all;
use serde_json::value::{RawValue, to_raw_value};
use store::{Append, AppendError, Guard, Log, NewEvent, Position, Recorded};
use tests::{Stage, on_both_engines};
use uuid::Uuid;

fn event(stream: &str, sequence: i64) -> NewEvent {
    NewEvent {
        stream_type: "conversation",
        stream_id: stream.to_owned(),
        sequence,
        event_type: "ConversationDeleted",
        event_version: "1",
        payload: to_raw_value(&serde_json::json!({"ConversationDeleted": {"owner": Uuid::nil(), "of": stream}}))
            .unwrap(),
    }
}

fn append(events: Vec<NewEvent>) -> Append {
    guarded(events, Vec::new())
}

fn guarded(events: Vec<NewEvent>, guards: Vec<Guard>) -> Append {
    let metadata: Box<RawValue> = to_raw_value(&serde_json::json!({"request_id": "test"})).unwrap();
    Append { events, guards, metadata, recorded_at: Timestamp::from_micros(7) }
}

fn guard(stream: &str, sequence: i64) -> Guard {
    Guard { stream_type: "conversation", stream_id: stream.to_owned(), sequence }
}

async fn everything(log: &Log) -> Vec<std::sync::Arc<Recorded>> {
    let mut all = Vec::new();
    loop {
        let cursor = all.last().map_or(Position::START, |event: &std::sync::Arc<Recorded>| event.position);
        let some = log.read(cursor, 1_000).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

fn conflicts(outcome: &Result<Position, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Conflict))
}

on_both_engines! {
    async fn positions_have_no_gaps_whoever_appends(stage: Stage) {
        let logs = [stage.log.clone(), stage.another_log(), stage.another_log()];
        let appends = (0..300).map(|n| {
            let log = &logs[n % logs.len()];
            // A third of them conflict, so that what is rolled back would show as a gap.
            let stream = if n % 3 == 0 { "contended".to_owned() } else { format!("stream {n}") };
            let events = vec![event(&stream, 1), event(&stream, 2)];
            async move { log.append(append(events)).await }
        });
        let outcomes = join_all(appends).await;
        assert_eq!(outcomes.iter().filter(|outcome| conflicts(outcome)).count(), 99);

        for log in &logs {
            let positions: Vec<i64> = everything(log).await.iter().map(|event| event.position.get()).collect();
            assert_eq!(positions, (1..=402).collect::<Vec<_>>());
        }
        let acknowledged: HashSet<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(acknowledged.len(), 201, "each append has a last position of its own");
    }

    async fn an_append_says_where_its_last_event_stands(stage: Stage) {
        let first = stage.log.append(append(vec![event("a", 1), event("a", 2)])).await.unwrap();
        let second = stage.log.append(append(vec![event("b", 1)])).await.unwrap();
        assert_eq!((first.get(), second.get()), (2, 3));
        assert_eq!(stage.log.head().await.unwrap(), second);
        let all = everything(&stage.another_log()).await;
        assert_eq!(all.iter().map(|it| (it.stream_id.as_str(), it.sequence)).collect::<Vec<_>>(), [("a", 1), ("a", 2), ("b", 1)]);
    }

    async fn an_append_over_several_streams_is_whole_or_not_there(stage: Stage) {
        stage.log.append(append(vec![event("taken", 1)])).await.unwrap();
        let outcome = stage.log.append(append(vec![event("new", 1), event("taken", 1), event("newer", 1)])).await;
        assert!(conflicts(&outcome));
        let all = everything(&stage.another_log()).await;
        assert_eq!(all.iter().map(|it| it.stream_id.as_str()).collect::<Vec<_>>(), ["taken"]);
    }

    async fn only_the_guilty_of_a_batch_are_refused(stage: Stage) {
        stage.log.append(append(vec![event("taken", 1)])).await.unwrap();
        let appends = (0..64).map(|n| {
            let events = if n % 8 == 3 { vec![event(&format!("s{n}"), 1), event("taken", 1)] } else { vec![event(&format!("s{n}"), 1)] };
            stage.log.append(append(events))
        });
        let outcomes = join_all(appends).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            assert_eq!(conflicts(outcome), n % 8 == 3, "append {n}: {outcome:?}");
        }
        assert_eq!(everything(&stage.another_log()).await.len(), 57);
    }

    async fn a_stream_that_was_read_must_not_have_grown(stage: Stage) {
        stage.log.append(append(vec![event("room", 1)])).await.unwrap();
        let fresh = guarded(vec![event("m1", 1)], vec![guard("room", 1), guard("nobody", 0)]);
        stage.log.append(fresh).await.unwrap();
        stage.another_log().append(append(vec![event("room", 2)])).await.unwrap();
        let stale = stage.log.append(guarded(vec![event("m2", 1)], vec![guard("room", 1)])).await;
        assert!(conflicts(&stale));
        let absent = stage.log.append(guarded(vec![event("m3", 1)], vec![guard("room", 0)])).await;
        assert!(conflicts(&absent), "what was read as absent is there");
        assert_eq!(everything(&stage.another_log()).await.len(), 3);
    }

    async fn a_guard_sees_what_stands_before_it_in_the_same_batch(stage: Stage) {
        stage.log.append(append(vec![event("room", 1)])).await.unwrap();
        let appends = (0..40).map(|n| {
            let post = guarded(vec![event(&format!("m{n}"), 1)], vec![guard("room", 1)]);
            stage.log.append(if n == 20 { append(vec![event("room", 2)]) } else { post })
        });
        let outcomes = join_all(appends).await;
        let all = everything(&stage.another_log()).await;
        let closed = all.iter().position(|it| it.stream_id == "room" && it.sequence == 2).unwrap();
        assert!(outcomes[20].is_ok());
        assert_eq!(closed, all.len() - 1, "nobody was let in after the room was closed: {outcomes:?}");
    }

    async fn a_reader_never_passes_a_hole(stage: Stage) {
        let (reader, writers) = (stage.another_log(), [stage.log.clone(), stage.another_log()]);
        let appends = async {
            for round in 0..30 {
                let some = (0..20).map(|n| writers[n % 2].append(append(vec![event(&format!("{round} {n}"), 1)])));
                assert!(join_all(some).await.iter().all(Result::is_ok));
            }
        };
        let polls = async {
            let mut seen = 0;
            while seen < 600 {
                // A gap is an error of `read`; nothing that shows up later may lie below what was seen.
                let events = reader.read(Position::new(seen), 50).await.unwrap();
                assert!(events.iter().zip(seen + 1..).all(|(event, position)| event.position.get() == position));
                seen += i64::try_from(events.len()).unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(appends, polls);
    }

    async fn what_was_appended_wakes_readers_of_the_same_process(stage: Stage) {
        let mut grows = stage.log.grows();
        let position = stage.log.append(append(vec![event("a", 1)])).await.unwrap();
        grows.wait_for(|head| *head >= position).await.unwrap();
        assert_eq!(stage.log.read(Position::START, 10).await.unwrap().len(), 1);
    }

    async fn an_event_comes_back_as_it_was_written(stage: Stage) {
        let mut odd = event("odd", 1);
        odd.payload = to_raw_value(&serde_json::json!({"text": "quote \" backslash \\ emoji 🦀 rtl שלום line\n"})).unwrap();
        stage.log.append(append(vec![odd.clone()])).await.unwrap();
        for log in [stage.log.clone(), stage.another_log()] {
            let read = log.read(Position::START, 10).await.unwrap();
            assert_eq!(read[0].payload.get(), odd.payload.get());
            assert_eq!(read[0].metadata.get(), r#"{"request_id":"test"}"#);
            assert_eq!((read[0].recorded_at, read[0].event_version.as_str()), (Timestamp::from_micros(7), "1"));
        }
    }

    async fn a_closed_log_has_what_was_waiting(stage: Stage) {
        let appends = (0..100).map(|n| stage.log.append(append(vec![event(&format!("s{n}"), 1)])));
        let (outcomes, ()) = tokio::join!(join_all(appends), stage.log.close());
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(everything(&stage.another_log()).await.len(), 100);
    }
}

/// One open append holds its lock while others wait and a reader polls.
#[tokio::test]
async fn an_open_append_holds_back_all_that_come_after_it() {
    let stage = Stage::postgres_nats().await;
    let store::Db::Postgres(other) = stage.another_db() else { panic!("this is Postgres") };
    let mut open = other.pool.begin().await.unwrap();
    let sql = "select append_events(array['conversation'], array['slow'], array[1::bigint], array['E'], array['1'], \
               array['{}'], array['{}'], array[1::bigint], array[]::text[], array[]::text[], array[]::bigint[])";
    let before: i64 = sqlx::query_scalar(sql).fetch_one(&mut *open).await.unwrap();
    assert_eq!(before, 0);

    let log = stage.log.clone();
    let waiting = tokio::spawn(async move { log.append(append(vec![event("fast", 1)])).await });
    let blocked = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&other.pool).await.unwrap() == 0 {}
    let reader = stage.another_log();
    for _ in 0..20 {
        assert!(
            reader.read(Position::START, 10).await.unwrap().is_empty(),
            "nothing is to be seen past the open append"
        );
    }
    assert!(!waiting.is_finished());

    open.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().get(), 2);
    let streams: Vec<_> = everything(&reader).await.iter().map(|event| event.stream_id.clone()).collect();
    assert_eq!(streams, ["slow", "fast"]);
}

/// The same, when the open append is undone: its position is given to the next.
#[tokio::test]
async fn an_append_that_is_undone_leaves_no_gap() {
    let stage = Stage::postgres_nats().await;
    let store::Db::Postgres(other) = stage.another_db() else { panic!("this is Postgres") };
    let mut open = other.pool.begin().await.unwrap();
    let sql = "select append_events(array['conversation'], array['undone'], array[1::bigint], array['E'], array['1'], \
               array['{}'], array['{}'], array[1::bigint], array[]::text[], array[]::text[], array[]::bigint[])";
    sqlx::query(sql).execute(&mut *open).await.unwrap();
    let log = stage.log.clone();
    let waiting = tokio::spawn(async move { log.append(append(vec![event("kept", 1)])).await });
    open.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().get(), 1);
}

/// An answer that is lost: the batch is repeated, and what stands there already counts as appended, once.
#[tokio::test]
async fn an_append_whose_answer_is_lost_stands_there_once() {
    let mut stage = Stage::postgres_nats().await;
    let appended = stage.log.append(append(vec![event("before", 1)])).await.unwrap();
    assert_eq!(appended.get(), 1);
    let appends: Vec<_> = (0..20)
        .map(|n| {
            let log = stage.log.clone();
            tokio::spawn(async move { (n, log.append(append(vec![event(&format!("s{n}"), 1)])).await) })
        })
        .collect();
    let mut postgres = stage.postgres.take().unwrap();
    postgres.kill().await;
    postgres.restart().await;
    let outcomes = join_all(appends).await.into_iter().map(Result::unwrap);
    let all = everything(&stage.another_log()).await;
    for (n, outcome) in outcomes {
        let times = all.iter().filter(|it| it.stream_id == format!("s{n}")).count();
        match outcome {
            Ok(position) => assert_eq!(
                (times, all[usize::try_from(position.get()).unwrap() - 1].stream_id.clone()),
                (1, format!("s{n}"))
            ),
            Err(AppendError::Store(error)) => assert!(error.is_passing() && times <= 1, "{error:?}"),
            Err(AppendError::Conflict) => panic!("nobody else wanted s{n}"),
        }
    }
}
