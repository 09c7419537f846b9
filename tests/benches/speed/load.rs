//! Many clients at once, all on one thread: little of the machine goes into waking them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::{JoinSet, spawn_blocking};

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
    let clients = move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(all(address, requests, until))
    };
    spawn_blocking(clients).await.expect("clients that end")
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
