//! Building `history` anew from the log, against `COPY` of the same rows into the same tables.

use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use projections::{History, Projection};
use sqlx::{Connection, Executor as _, PgConnection};
use store::read_model::Home;
use store::{Clock, Executor, Log, ReadModel};
use tests::Postgres;

use crate::post::{Start, WORDS, execute};
use crate::report::{Limit, Report, Row, median, number, ratio};
use crate::site::open_postgres;

const CONVERSATIONS: u32 = 1_000;
/// Posts in each conversation: three events, two messages.
const POSTS: u32 = 100;
const ROUNDS: usize = 5;
const TABLES: [&str; 3] = ["conversations", "messages", "owners"];

pub async fn measure(report: &mut Report) {
    let postgres = Postgres::start().await;
    let url = postgres.database().await;
    let db = open_postgres(&url);
    store::migrate(&db).await.expect("an empty database");
    let log = Log::open(db.clone());
    let live = ReadModel::open(&Home::beside(db), History::SPEC).await.expect("an empty database");
    write_log(&Executor::new(log.clone(), Clock::System)).await;
    let events = rebuild(&log, &live).await.1;

    let mut connection = PgConnection::connect(&url).await.expect("the server is up");
    let rows = copy_out(&mut connection).await;
    copy_in(&mut connection, &rows).await;
    let (mut rebuilt, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rebuilt.push(events / rebuild(&log, &live).await.0);
        copied.push(events / copy_in(&mut connection, &rows).await);
    }
    report_rounds(report, events, &rebuilt, &copied);
}

fn report_rounds(report: &mut Report, events: f64, rebuilt: &[f64], copied: &[f64]) {
    report.rounds("events/s, rebuilt", rebuilt);
    report.rounds("events/s, were they rows copied", copied);
    let times = format!("({} s against {} s)", number(events / median(rebuilt)), number(events / median(copied)));
    report.row(Row {
        measure: "rebuilding history, Postgres, against COPY of its rows".to_owned(),
        value: ratio(rebuilt, copied),
        unit: "x",
        of: times,
        bound: Some(Limit::AtLeast(0.3)),
        aim: None,
    });
    report.row(Row {
        measure: format!("rebuilding history from {} events, Postgres", number(events)),
        value: median(rebuilt),
        unit: " events/s",
        of: String::new(),
        bound: Some(Limit::AtLeast(30_000.0)),
        aim: None,
    });
}

async fn write_log(executor: &Executor) {
    let writers = (0..CONVERSATIONS).map(|_| {
        let executor = executor.clone();
        tokio::spawn(async move {
            let start = Start::fresh();
            execute(&executor, &start).await;
            for _ in 0..POSTS {
                execute(&executor, &start.post(WORDS)).await;
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|writer| writer.expect("a writer that ends"));
}

/// How long it took in seconds, and how many events there were.
async fn rebuild(log: &Log, live: &ReadModel) -> (f64, f64) {
    let begun = Instant::now();
    let reached = projector::rebuild::<History>(log, live, |_, _| {}).await.expect("a log that can be read");
    let events = u32::try_from(reached.get()).expect("a small log");
    (begun.elapsed().as_secs_f64(), f64::from(events))
}

/// The rows of each table, as `COPY` writes them.
async fn copy_out(connection: &mut PgConnection) -> Vec<(&'static str, Vec<Bytes>)> {
    let mut tables = Vec::new();
    for table in TABLES {
        let sql = format!("copy history.{table} to stdout");
        let rows = connection.copy_out_raw(&sql).await.expect("a table").try_collect().await.expect("its rows");
        tables.push((table, rows));
    }
    tables
}

/// Puts the rows into empty tables of the same make; how long that took in seconds.
async fn copy_in(connection: &mut PgConnection, tables: &[(&str, Vec<Bytes>)]) -> f64 {
    let schema = "drop schema if exists scratch cascade; create schema scratch; set search_path = scratch";
    connection.execute(schema).await.expect("a schema");
    connection.execute(History::SPEC.tables.postgres()).await.expect("tables");
    let begun = Instant::now();
    for (table, rows) in tables {
        let sql = format!("copy scratch.{table} from stdin");
        let mut copy = connection.copy_in_raw(&sql).await.expect("a table");
        for chunk in rows.chunks(1_000) {
            copy.send(chunk.concat()).await.expect("rows");
        }
        copy.finish().await.expect("rows that fit");
    }
    begun.elapsed().as_secs_f64()
}
