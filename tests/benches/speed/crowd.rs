//! `POST /api/v1/chat` while a crowd says nothing, or hardly anything, against without it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::http::Request;
use crate::load;
use crate::report::{Limit, Report, Row, median, number, percentile, ratio};
use crate::site::{Engine, Site};

/// They post 400 times a second together.
const TALKERS: usize = 40;
const EVERY: Duration = Duration::from_millis(100);
/// For longer than somebody may take to say what they want: those who trickle are cut off, and come again.
const POSTS: u32 = 340;
const ROUNDS: usize = 2;
const IDLE: usize = 1_000;
/// Half of them with a request that never has all of its headers, half with a body that never ends.
const TRICKLING: usize = 200;
const A_BYTE_EACH: Duration = Duration::from_millis(500);
const MOST: f64 = 2.0;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let site = Site::start(engine).await;
        let (mut posts, mut token) = (Vec::new(), String::new());
        for number in 0..TALKERS {
            let user = site.sign_up(&format!("user{number}")).await;
            posts.push(site.converse(&user).await.post);
            token = user.token;
        }
        let (mut alone, mut crowded, mut cut_off) = (Vec::new(), Vec::new(), 0);
        // The first ones warm up.
        for turn in 0..=ROUNDS {
            let alone_now = p99(&site, &posts).await;
            let crowd = Crowd::gather(site.address(), token.clone()).await;
            let crowded_now = p99(&site, &posts).await;
            cut_off += crowd.leave().await;
            if turn > 0 {
                alone.push(alone_now);
                crowded.push(crowded_now);
            }
        }
        assert!(cut_off >= TRICKLING * ROUNDS, "{cut_off} were cut off");
        let name = engine.name();
        report.rounds(&format!("p99 of POST chat at 400/s in ms, {name}"), &alone);
        report.rounds(&format!("p99 of POST chat at 400/s among the crowd in ms, {name}"), &crowded);
        let [before, among] = [&alone, &crowded].map(|rounds| number(median(rounds)));
        report.row(Row {
            measure: format!(
                "p99 of POST chat among {IDLE} who are idle and {TRICKLING} who trickle, against alone, {name}"
            ),
            value: ratio(&crowded, &alone),
            unit: "x",
            of: format!("({among} against {before} ms at 400 posts/s; {cut_off} were cut off meanwhile)"),
            bound: Some(Limit::AtMost(MOST)),
            aim: None,
        });
    }
}

async fn p99(site: &Site, posts: &[Request]) -> f64 {
    let times = load::steady(site.address(), posts.to_vec(), EVERY, POSTS).await;
    site.settle().await;
    percentile(&times, 99)
}

/// Those who hold connections, on a thread of their own.
struct Crowd {
    stop: CancellationToken,
    gone: JoinHandle<usize>,
}

impl Crowd {
    async fn gather(address: SocketAddr, token: String) -> Self {
        let (stop, (here, are_here)) = (CancellationToken::new(), oneshot::channel());
        let until = stop.clone();
        let gone = tokio::spawn(load::on_one_thread(move || stand(address, token, here, until)));
        are_here.await.expect("a crowd");
        Self { stop, gone }
    }

    /// How many were cut off.
    async fn leave(self) -> usize {
        self.stop.cancel();
        self.gone.await.expect("a crowd")
    }
}

async fn stand(address: SocketAddr, token: String, here: oneshot::Sender<()>, stop: CancellationToken) -> usize {
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(address).await.expect("a server that listens"));
    }
    let (mut trickling, cut_off) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let body = format!(
        "POST /api/v1/chat HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    );
    for number in 0..TRICKLING {
        let begin = if number % 2 == 0 { "GET /live HTTP/1.1\r\nx-long: ".to_owned() } else { body.clone() };
        trickling.spawn(trickle(address, begin, cut_off.clone()));
    }
    here.send(()).expect("somebody who waits");
    stop.cancelled().await;
    cut_off.load(Ordering::Relaxed)
}

/// Sends a byte now and then, and comes again when it is cut off.
async fn trickle(address: SocketAddr, begin: String, cut_off: Arc<AtomicUsize>) {
    loop {
        let mut stream = TcpStream::connect(address).await.expect("a server that listens");
        stream.write_all(begin.as_bytes()).await.expect("a server that listens");
        let (mut pace, mut answer) = (interval(A_BYTE_EACH), [0; 1_024]);
        loop {
            tokio::select! {
                _ = pace.tick() => if stream.write_all(b" ").await.is_err() { break },
                read = stream.read(&mut answer) => if !matches!(read, Ok(1..)) { break },
            }
        }
        cut_off.fetch_add(1, Ordering::Relaxed);
    }
}
