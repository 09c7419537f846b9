//! Refreshes of tokens over HTTP, each with what the one before gave.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::http::{Connection, Request};
use crate::load;
use crate::report::{Report, Row, median, number, percentile};
use crate::site::{Engine, Site, User};

const SIGN_INS: usize = 64;
const ROUND: Duration = Duration::from_millis(2_500);
const ROUNDS: usize = 5;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let site = Site::start(engine).await;
        let mut users = Vec::with_capacity(SIGN_INS);
        for number in 0..SIGN_INS {
            users.push(site.sign_up(&format!("user{number}")).await);
        }
        let (mut rates, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let (address, before) = (site.address(), users);
            let mut times;
            (users, times) = load::on_one_thread(move || all(address, before)).await;
            site.settle().await;
            rates.push(f64::from(u32::try_from(times.len()).expect("fewer refreshes")) / begun.elapsed().as_secs_f64());
            times.sort();
            p99.push(percentile(&times, 99));
        }
        let name = engine.name();
        report.rounds(&format!("refreshes a second, {name}"), &rates);
        report.row(Row {
            measure: format!("refreshes of tokens, {SIGN_INS} connections, {name}"),
            value: median(&rates),
            unit: "/s",
            of: format!("(p99 {} ms)", number(median(&p99))),
            bound: None,
            aim: None,
        });
    }
}

async fn all(address: SocketAddr, users: Vec<User>) -> (Vec<User>, Vec<Duration>) {
    let begun = Instant::now();
    let refreshing: JoinSet<_> = users.into_iter().map(|user| refresh(address, user, begun)).collect();
    let (users, times): (_, Vec<_>) = refreshing.join_all().await.into_iter().unzip();
    (users, times.concat())
}

async fn refresh(address: SocketAddr, mut user: User, begun: Instant) -> (User, Vec<Duration>) {
    let mut connection = Connection::open(address).await;
    let mut times = Vec::new();
    while begun.elapsed() < ROUND {
        let sent = Instant::now();
        user = User::of(&connection.json(&Request::refresh(&user.refresh_token)).await);
        times.push(sent.elapsed());
    }
    (user, times)
}
