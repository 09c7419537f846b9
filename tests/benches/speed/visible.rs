//! From an append's acknowledgement to the history that shows it, at a steady pace, over Postgres and NATS.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use store::{Clock, Executor, Position, ReadModel};
use tests::Stage;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use crate::post::{Start, WORDS, execute};
use crate::report::{Limit, Report, Row, median, number, percentile};

const PACE: Duration = Duration::from_millis(1);
const CONVERSATIONS: usize = 64;
const WARM_UP: usize = 2_000;
const ROUND: usize = 5_000;
const ROUNDS: usize = 3;
/// How often somebody looks: by so much the figure may be too high.
const LOOK: Duration = Duration::from_millis(1);

pub async fn measure(report: &mut Report) {
    let stage = Stage::postgres_nats().await;
    let history = stage.history().await;
    stage.relay();
    stage.project(&history);
    let executor = Executor::new(stage.log.clone(), Clock::System);
    let conversations = begin(&executor).await;
    round(&executor, &history, &conversations, WARM_UP).await;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let times = round(&executor, &history, &conversations, ROUND).await;
        p50.push(percentile(&times, 50));
        p99.push(percentile(&times, 99));
    }
    report.rounds("append to visible, p50 in ms", &p50);
    report.rounds("append to visible, p99 in ms", &p99);
    report.row(Row {
        measure: "append to visible at 1,000 posts/s, Postgres + NATS, p99".to_owned(),
        value: median(&p99),
        unit: " ms",
        of: format!("(p50 {} ms)", number(median(&p50))),
        bound: Some(Limit::AtMost(50.0)),
        aim: None,
    });
}

async fn begin(executor: &Executor) -> Vec<Start> {
    let mut conversations = Vec::with_capacity(CONVERSATIONS);
    for _ in 0..CONVERSATIONS {
        let start = Start::fresh();
        execute(executor, &start).await;
        conversations.push(start);
    }
    conversations
}

/// Posts at the pace, whether those before are answered or not; how long each took to be seen, sorted.
async fn round(executor: &Executor, history: &ReadModel, conversations: &[Start], posts: usize) -> Vec<Duration> {
    let (acknowledged, appended) = mpsc::unbounded_channel();
    let looking = tokio::spawn(look(history.clone(), appended));
    let mut pace = interval(PACE);
    for Start { owner, conversation } in conversations.iter().cycle().take(posts) {
        pace.tick().await;
        let post = Start { owner: *owner, conversation: *conversation }.post(WORDS);
        let (executor, acknowledged) = (executor.clone(), acknowledged.clone());
        tokio::spawn(async move {
            let position = execute(&executor, &post).await;
            let _ = acknowledged.send((position, Instant::now()));
        });
    }
    drop(acknowledged);
    let mut times = looking.await.expect("somebody who looks");
    assert_eq!(times.len(), posts);
    times.sort();
    times
}

/// Looks into the database, as any other process might, until everything is seen that was appended.
async fn look(history: ReadModel, mut appended: mpsc::UnboundedReceiver<(Position, Instant)>) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut awaited = VecDeque::new();
    loop {
        let seen = history.position().await.expect("the read model is up");
        let now = Instant::now();
        while let Ok(next) = appended.try_recv() {
            awaited.push_back(next);
        }
        awaited.retain(|(position, at): &(Position, Instant)| {
            if *position <= seen {
                times.push(now.saturating_duration_since(*at));
            }
            *position > seen
        });
        if awaited.is_empty() && appended.is_closed() && appended.is_empty() {
            return times;
        }
        sleep(LOOK).await;
    }
}
