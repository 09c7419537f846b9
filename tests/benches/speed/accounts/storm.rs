//! `POST /api/v1/chat` while sign-ins fill the queue of the hashing threads, against without them.
//!
//! Under the load of the other rows, and at a steady pace that leaves the cores idle most of the time.
//! Postgres and NATS have a core where nothing is hashed, as on a machine of their own; where they have none is shown, too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::cores::Cores;
use crate::http::{Connection, Request};
use crate::load::{self, Until};
use crate::report::{Limit, Report, Row, median, number, percentile, ratio};
use crate::site::{Engine, Site};

const USERS: usize = 64;
const ROUND: Duration = Duration::from_millis(2_500);
/// At the steady pace they post 400 times a second together.
const AT_A_PACE: usize = 40;
const EVERY: Duration = Duration::from_millis(100);
const POSTS: u32 = 50;
const ROUNDS: usize = 5;
/// More than the queue takes: the others are refused, and come again when they were told to.
const STORM: usize = 640;
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// They come one after the other, and so come again.
const APART: Duration = Duration::from_millis(3);

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        weather(report, &Site::start(engine).await).await;
    }
    weather(report, &Site::apart(Cores::split().0, Cores::all()).await).await;
}

async fn weather(report: &mut Report, site: &Site) {
    let mut posts = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let user = site.sign_up(&format!("user{number}")).await;
        posts.push(site.converse(&user).await.post);
    }
    let paced = Pace::Steady(posts.iter().take(AT_A_PACE).cloned().collect());
    compare(report, site, Pace::AsFastAsTheyCan(posts)).await;
    compare(report, site, paced).await;
}

/// How the people chat.
enum Pace {
    AsFastAsTheyCan(Vec<Request>),
    Steady(Vec<Request>),
}

impl Pace {
    async fn round(&self, site: &Site) -> Vec<Duration> {
        match self {
            Self::AsFastAsTheyCan(posts) => load::run(site.address(), posts.clone(), Until::Elapsed(ROUND)).await.times,
            Self::Steady(posts) => load::steady(site.address(), posts.clone(), EVERY, POSTS).await,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::AsFastAsTheyCan(posts) => format!("{} connections", posts.len()),
            Self::Steady(_) => "400 posts/s".to_owned(),
        }
    }
}

#[derive(Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

async fn compare(report: &mut Report, site: &Site, pace: Pace) {
    let (mut calm, mut windy, mut storms) = (Rounds::default(), Rounds::default(), Vec::new());
    Rounds::default().add(pace.round(site).await);
    for _ in 0..ROUNDS {
        calm.add(pace.round(site).await);
        let storm = Storm::begin(site.address()).await;
        let times = pace.round(site).await;
        storms.push(storm.end().await);
        windy.add(times);
        site.settle().await;
    }
    let name = format!("{}, {}", pace.name(), site.name());
    report.rounds(&format!("POST chat p99 in ms, {name}"), &calm.p99);
    report.rounds(&format!("POST chat p99 in ms in a storm of sign-ins, {name}"), &windy.p99);
    let [signed_in, refused] =
        [|it: &Abated| it.signed_in, |it: &Abated| it.refused].map(|what| storms.iter().map(what).collect::<Vec<_>>());
    report.rounds(&format!("signed in a second in the storm, {name}"), &signed_in);
    report.rounds(&format!("refused a second in the storm, {name}"), &refused);
    let [p50, p50_before, p99, p99_before] =
        [&windy.p50, &calm.p50, &windy.p99, &calm.p99].map(|rounds| number(median(rounds)));
    let [signed_in, refused] = [signed_in, refused].map(|rounds| number(median(&rounds)));
    let (bound, aim) = site.limits(Limit::AtMost(2.0));
    report.row(Row {
        measure: format!("POST chat p99 in a storm of sign-ins, {name}, against without"),
        value: ratio(&windy.p99, &calm.p99),
        unit: "x",
        of: format!(
            "({p99} against {p99_before} ms; p50 {p50} against {p50_before} ms; \
             {signed_in} signed in and {refused} refused a second)"
        ),
        bound,
        aim,
    });
}

impl Rounds {
    fn add(&mut self, times: Vec<Duration>) {
        self.p50.push(percentile(&times, 50));
        self.p99.push(percentile(&times, 99));
    }
}

/// Many who sign in again and again.
struct Storm {
    begun: Instant,
    stop: CancellationToken,
    clients: JoinHandle<()>,
    answers: mpsc::UnboundedReceiver<u16>,
}

/// How many fared how, each second.
struct Abated {
    signed_in: f64,
    refused: f64,
}

impl Storm {
    /// Returns when the queue is full.
    async fn begin(address: SocketAddr) -> Self {
        let (answered, mut answers) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let clients = tokio::spawn(load::on_one_thread(move || all(address, answered, stopped)));
        while answers.recv().await.expect("a storm") != 503 {}
        Self { begun: Instant::now(), stop, clients, answers }
    }

    async fn end(mut self) -> Abated {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut answers = Vec::new();
        self.answers.recv_many(&mut answers, usize::MAX).await;
        self.stop.cancel();
        self.clients.await.expect("a storm that ends");
        let rate = |status| {
            let count = answers.iter().filter(|answer| **answer == status).count();
            f64::from(u32::try_from(count).expect("fewer answers")) / seconds
        };
        Abated { signed_in: rate(200), refused: rate(503) }
    }
}

async fn all(address: SocketAddr, answered: mpsc::UnboundedSender<u16>, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    let gather = async {
        let mut pace = interval(APART);
        for _ in 0..STORM {
            pace.tick().await;
            clients.spawn(sign_in(address, answered.clone()));
        }
        std::future::pending::<()>().await;
    };
    stop.run_until_cancelled(gather).await;
}

async fn sign_in(address: SocketAddr, answered: mpsc::UnboundedSender<u16>) {
    let mut connection = Connection::open(address).await;
    let login = Site::login("user0");
    loop {
        let (status, _) = connection.send(&login).await;
        if answered.send(status).is_err() {
            return;
        }
        if status == 503 {
            sleep(RETRY_AFTER).await;
        }
    }
}
