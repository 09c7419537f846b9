//! Commands a second on fresh streams: our executor against `postgres_es::postgres_cqrs` as it comes, on one server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::chat::conversation::{Conversation, ConversationCommand, Features};
use futures::future::join_all;
use postgres_es::{PostgresCqrs, default_postgress_pool, postgres_cqrs};
use sqlx::Executor as _;
use store::{Clock, Executor, Log};
use tests::Postgres;

use crate::post::{Start, execute};
use crate::report::{Limit, Report, Row, median, number, ratio};
use crate::site::open_postgres;

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(1);

/// How many call at once, what must come of it, and what should.
const MEASURES: [(usize, f64, Option<f64>); 3] = [(64, 5.0, Some(8.0)), (256, 10.0, None), (1, 0.9, None)];

/// The table as the documentation of `postgres-es` gives it.
const THEIR_TABLE: &str = "\
    create table events (
        aggregate_type text                         not null,
        aggregate_id   text                         not null,
        sequence       bigint check (sequence >= 0) not null,
        event_type     text                         not null,
        event_version  text                         not null,
        payload        json                         not null,
        metadata       json                         not null,
        primary key (aggregate_type, aggregate_id, sequence)
    )";

pub async fn measure(report: &mut Report) {
    let postgres = Postgres::start().await;
    let (ours, theirs) = (ours(&postgres).await, theirs(&postgres).await);
    our_rate(&ours, 64, WARM_UP).await;
    their_rate(&theirs, 64, WARM_UP).await;
    for (callers, least, aim) in MEASURES {
        let (mut our_rounds, mut their_rounds) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_rounds.push(our_rate(&ours, callers, ROUND).await);
            their_rounds.push(their_rate(&theirs, callers, ROUND).await);
        }
        report.rounds(&format!("commands/s, {callers} callers, ours"), &our_rounds);
        report.rounds(&format!("commands/s, {callers} callers, postgres-es"), &their_rounds);
        report.row(Row {
            measure: format!("commands on fresh streams, {callers} callers, against postgres-es"),
            value: ratio(&our_rounds, &their_rounds),
            unit: "x",
            of: format!("({} against {} a second)", number(median(&our_rounds)), number(median(&their_rounds))),
            bound: Some(Limit::AtLeast(least)),
            aim: aim.map(Limit::AtLeast),
        });
    }
}

async fn ours(postgres: &Postgres) -> Executor {
    let db = open_postgres(&postgres.database().await);
    store::migrate(&db).await.expect("an empty database");
    Executor::new(Log::open(db), Clock::System)
}

async fn theirs(postgres: &Postgres) -> Arc<PostgresCqrs<Conversation>> {
    let pool = default_postgress_pool(&postgres.database().await).await;
    pool.execute(THEIR_TABLE).await.expect("an empty database");
    Arc::new(postgres_cqrs(pool, Vec::new(), Timestamp::default()))
}

async fn our_rate(executor: &Executor, callers: usize, time: Duration) -> f64 {
    let executor = executor.clone();
    let call = move || {
        let executor = executor.clone();
        async move {
            execute(&executor, &Start::fresh()).await;
        }
    };
    rate(callers, time, call).await
}

async fn their_rate(cqrs: &Arc<PostgresCqrs<Conversation>>, callers: usize, time: Duration) -> f64 {
    let cqrs = cqrs.clone();
    let call = move || {
        let cqrs = cqrs.clone();
        async move {
            let Start { owner, conversation } = Start::fresh();
            cqrs.execute(
                &conversation.to_string(),
                ConversationCommand::Start { owner, features: Features::default() },
            )
            .await
            .expect("a fresh stream");
        }
    };
    rate(callers, time, call).await
}

/// So many callers call for some time, each again as soon as it is answered.
async fn rate<Call, Answer>(callers: usize, time: Duration, call: Call) -> f64
where
    Call: Fn() -> Answer + Clone + Send + 'static,
    Answer: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let caller = |call: Call| async move {
        let mut calls = 0_u32;
        while begun.elapsed() < time {
            call().await;
            calls += 1;
        }
        calls
    };
    let calls = join_all((0..callers).map(|_| tokio::spawn(caller(call.clone())))).await;
    let calls: u32 = calls.into_iter().map(|calls| calls.expect("a caller that ends")).sum();
    f64::from(calls) / begun.elapsed().as_secs_f64()
}
