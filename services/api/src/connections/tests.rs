//! Who is cut off, who waits, and who is let end.

use axum::extract::ws::WebSocketUpgrade;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream::repeat_with;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::*;
use crate::client_address::TrustedProxies;

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

const NEVER: Duration = Duration::from_hours(1);
/// After so long a test has failed.
const AT_LAST: Duration = Duration::from_secs(30);

async fn served(router: Router, silence: u64) -> Served {
    served_with(router, 100, Patience { silence: Duration::from_millis(silence), standstill: NEVER }).await
}

async fn served_with(router: Router, most: usize, patience: Patience) -> Served {
    let (listener, stop) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new());
    let address = listener.local_addr().unwrap();
    let places = Places::new(most, most, TrustedProxies::default());
    let ended = tokio::spawn(serve(listener, router, places, patience, stop.clone()));
    Served { address, stop, ended }
}

async fn connect(served: &Served, sends: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(sends.as_bytes()).await.unwrap();
    stream
}

async fn all_of(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // Whoever is cut off with something unread is told so by a reset.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn who_takes_too_long_to_say_what_it_wants_is_cut_off() {
    let served = served(Router::new().route("/", get(async || "hello")), 200).await;
    let said_nothing = connect(&served, "").await;
    let said_half = connect(&served, "GET / HTTP/1.1\r\nhost: te").await;
    let idle = connect(&served, "GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(all_of(said_nothing).await, "");
    assert!(!all_of(said_half).await.contains("hello"));
    let answer = all_of(idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_client_that_trickles_is_cut_off_though_it_never_stops() {
    let served = served(Router::new().route("/", get(async || "hello")), 200).await;
    let mut stream = connect(&served, "GET / HTTP/1.1\r\n").await;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let (mut sent, mut byte) = (0, [0]);
    // A header that never ends.
    loop {
        tokio::select! {
            _ = pace.tick() => sent += usize::from(stream.write_all(b"x").await.is_ok()),
            read = stream.read(&mut byte) => if !matches!(read, Ok(1)) { break },
        }
    }
    assert!((2..100).contains(&sent), "{sent}");
}

#[tokio::test]
async fn what_has_begun_ends_and_who_is_idle_goes() {
    let (begun, let_go) = (CancellationToken::new(), CancellationToken::new());
    let (has_begun, until) = (begun.clone(), let_go.clone());
    let slow = get(async move || {
        has_begun.cancel();
        until.cancelled().await;
        "at last"
    });
    let served = served(Router::new().route("/", slow), 60_000).await;
    let idle = connect(&served, "").await;
    let waiting = connect(&served, "GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    begun.cancelled().await;
    served.stop.cancel();
    assert_eq!(all_of(idle).await, "");
    assert!(!served.ended.is_finished());
    let_go.cancel();
    assert!(all_of(waiting).await.ends_with("at last"));
    served.ended.await.unwrap();
}

const ASKS: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";
const OPENS: &str = "GET /socket HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Reads until an answer has come to its end, and leaves the connection open.
async fn answer(stream: &mut TcpStream, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert_ne!(timeout(AT_LAST, stream.read_buf(&mut read)).await.unwrap().unwrap(), 0, "the connection ended");
    }
}

#[tokio::test]
async fn who_is_refused_before_the_body_comes_is_heard_out() {
    let begun = CancellationToken::new();
    let has_begun = begun.clone();
    let refuses = post(async move || {
        begun.cancel();
        "no"
    });
    let served = served(Router::new().route("/", refuses), 60_000).await;
    let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n";
    let mut client = connect(&served, head).await;
    has_begun.cancelled().await;
    client.write_all(b"hello").await.unwrap();
    answer(&mut client, "no").await;
    client.write_all(format!("{head}hello").as_bytes()).await.unwrap();
    answer(&mut client, "no").await;
    // Who says nothing more, or waits to be told to, hears that this was the last answer.
    for last in [head.to_owned(), head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n")] {
        let answer = all_of(connect(&served, &last).await).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn who_sent_all_once_they_were_told_to_keeps_the_connection() {
    let served = served(Router::new().route("/", post(async |said: String| said)), 60_000).await;
    let head = "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut client = connect(&served, "").await;
    for _ in 0..2 {
        client.write_all(head.as_bytes()).await.unwrap();
        answer(&mut client, "100 Continue\r\n\r\n").await;
        client.write_all(b"5\r\nhello\r\n0\r\n\r\n").await.unwrap();
        answer(&mut client, "hello").await;
    }
}

#[tokio::test]
async fn who_finds_no_place_waits_until_somebody_leaves() {
    let socket = get(async |opened: WebSocketUpgrade| {
        opened.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
    });
    let router = Router::new().route("/", get(async || "hello")).route("/socket", socket);
    let served = served_with(router, 2, Patience { silence: NEVER, standstill: NEVER }).await;
    let mut one = connect(&served, ASKS).await;
    answer(&mut one, "hello").await;
    // A socket has its place as long as it is open.
    let mut socket = connect(&served, OPENS).await;
    answer(&mut socket, "\r\n\r\n").await;
    let mut waits = connect(&served, ASKS).await;
    for _ in 0..20 {
        one.write_all(ASKS.as_bytes()).await.unwrap();
        answer(&mut one, "hello").await;
    }
    let nothing = waits.try_read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    drop(socket);
    answer(&mut waits, "hello").await;
}

#[tokio::test]
async fn who_never_reads_an_answer_is_cut_off() {
    let gone = CancellationToken::new();
    let has_gone = gone.clone();
    let endless = get(async move || {
        let guard = gone.clone().drop_guard();
        Body::from_stream(repeat_with(move || {
            let _held = &guard;
            Ok::<_, Infallible>(Bytes::from_static(&[0; 8 << 10]))
        }))
    });
    let patience = Patience { silence: NEVER, standstill: Duration::from_millis(500) };
    let served = served_with(Router::new().route("/", endless), 100, patience).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut client = socket.connect(served.address).await.unwrap();
    client.write_all(ASKS.as_bytes()).await.unwrap();
    timeout(AT_LAST, has_gone.cancelled()).await.unwrap();
}
