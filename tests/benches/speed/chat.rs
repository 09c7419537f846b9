//! `POST /api/v1/chat` in existing conversations, the history projected meanwhile, against `GET /live`.

use std::time::{Duration, Instant};

use crate::http::Request;
use crate::load::{self, Until};
use crate::report::{Limit, Report, Row, median, number, percentile, ratio};
use crate::site::{Engine, Site};

const USERS: usize = 64;
const ROUND: Duration = Duration::from_millis(2_500);
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(1);

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let site = Site::start(engine).await;
        let mut posts = Vec::with_capacity(USERS);
        for number in 0..USERS {
            let user = site.sign_up(&format!("user{number}")).await;
            posts.push(site.converse(&user).await.post);
        }
        let live = vec![Request::get("/live", None); USERS];
        compare(report, engine, &site, posts, live).await;
    }
}

/// What the rounds of one kind of request came to.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

async fn compare(report: &mut Report, engine: Engine, site: &Site, posts: Vec<Request>, live: Vec<Request>) {
    let (mut post, mut alive) = (Rounds::default(), Rounds::default());
    round(site, &posts, WARM_UP).await;
    round(site, &live, WARM_UP).await;
    for _ in 0..ROUNDS {
        post.add(round(site, &posts, ROUND).await);
        alive.add(round(site, &live, ROUND).await);
    }
    let name = engine.name();
    report.rounds(&format!("POST chat a second, {name}"), &post.per_second);
    report.rounds(&format!("POST chat p99 in ms, {name}"), &post.p99);
    report.rounds(&format!("GET live a second, {name}"), &alive.per_second);
    let [p50, p99] = [&post.p50, &post.p99].map(|rounds| number(median(rounds)));
    let [posts, lives] = [&post.per_second, &alive.per_second].map(|rounds| number(median(rounds)));
    let aim = match engine {
        Engine::Sqlite => 0.2,
        Engine::PostgresNats => 0.1,
    };
    report.row(Row {
        measure: format!("POST chat, {USERS} connections, {name}, against GET live"),
        value: ratio(&post.per_second, &alive.per_second),
        unit: "x",
        of: format!("({posts} against {lives} a second; p50 {p50} ms, p99 {p99} ms)"),
        bound: None,
        aim: Some(Limit::AtLeast(aim)),
    });
}

/// A round ends when the history has caught up: what is only put off counts.
async fn round(site: &Site, requests: &[Request], time: Duration) -> (f64, f64, f64) {
    let load = load::run(site.address(), requests.to_vec(), Until::Elapsed(time)).await;
    let caught_up = Instant::now();
    site.settle().await;
    let answered = f64::from(u32::try_from(load.times.len()).expect("fewer answers"));
    let per_second = answered / (load.took + caught_up.elapsed()).as_secs_f64();
    (per_second, percentile(&load.times, 50), percentile(&load.times, 99))
}

impl Rounds {
    fn add(&mut self, (per_second, p50, p99): (f64, f64, f64)) {
        self.per_second.push(per_second);
        self.p50.push(p50);
        self.p99.push(p99);
    }
}
