//! Many clients at once, all on one thread: little of the machine goes into waking them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::interval_at;

use crate::http::{Connection, Request};

/// When a client has asked enough.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    Asked(u32),
}

/// How the requests fared.
pub struct Load {
    /// How long each took, sorted.
    pub times: Vec<Duration>,
    pub took: Duration,
}

/// A client on a connection of its own for each request, which it sends again and again.
pub async fn run(address: SocketAddr, requests: Vec<Request>, until: Until) -> Load {
    on_one_thread(move || all(address, requests, until)).await
}

/// The same clients at a steady pace: each sends once in so much time, one after the other; their times, sorted.
pub async fn steady(address: SocketAddr, requests: Vec<Request>, every: Duration, rounds: u32) -> Vec<Duration> {
    on_one_thread(move || in_step(address, requests, every, rounds)).await
}

/// Runs what waits for the network on a thread of its own.
pub async fn on_one_thread<T, Work>(work: impl FnOnce() -> Work + Send + 'static) -> T
where
    T: Send + 'static,
    Work: Future<Output = T>,
{
    let work = move || Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work());
    spawn_blocking(work).await.expect("clients that end")
}

async fn in_step(address: SocketAddr, requests: Vec<Request>, every: Duration, rounds: u32) -> Vec<Duration> {
    let clients = u32::try_from(requests.len()).expect("fewer clients");
    let mut asking = JoinSet::new();
    let begun = Instant::now() + every;
    for (client, request) in (0..clients).zip(requests) {
        let mut connection = Connection::open(address).await;
        let mut pace = interval_at((begun + every * client / clients).into(), every);
        asking.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..rounds {
                pace.tick().await;
                let sent = Instant::now();
                connection.ask(&request).await;
                times.push(sent.elapsed());
            }
            times
        });
    }
    let mut times = asking.join_all().await.concat();
    times.sort();
    times
}

async fn all(address: SocketAddr, requests: Vec<Request>, until: Until) -> Load {
    let mut clients = Vec::with_capacity(requests.len());
    for request in requests {
        clients.push((Connection::open(address).await, request));
    }
    let begun = Instant::now();
    let asking: JoinSet<_> =
        clients.into_iter().map(|(connection, request)| ask(connection, request, begun, until)).collect();
    let mut times = asking.join_all().await.concat();
    let took = begun.elapsed();
    times.sort();
    Load { times, took }
}

async fn ask(mut connection: Connection, request: Request, begun: Instant, until: Until) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut asked = 0;
    while until.goes_on(begun, asked) {
        let sent = Instant::now();
        connection.ask(&request).await;
        times.push(sent.elapsed());
        asked += 1;
    }
    times
}

impl Until {
    fn goes_on(self, begun: Instant, asked: u32) -> bool {
        match self {
            Self::Elapsed(time) => begun.elapsed() < time,
            Self::Asked(times) => asked < times,
        }
    }
}
