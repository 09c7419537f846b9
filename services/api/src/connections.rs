//! How a client's connection behaves, whatever goes over it.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// How long a client may take to say what it wants, from the first moment or from the last answer on; then its connection ends.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// How many bytes what it wants may take, without a body.
const LONGEST_HEAD: usize = 64 << 10;
/// How long a client may leave unread what was sent to it; then its connection ends, and a reply goes on without it.
#[cfg(target_os = "linux")]
const STANDSTILL_MILLIS: u32 = 30_000;
/// After how long it is tried again where no more connections can be open.
const FULL: Duration = Duration::from_secs(1);

/// Answers whoever comes until told to stop; then lets end what has begun.
pub(crate) async fn serve(listener: TcpListener, router: Router, silence: Duration, shutdown: CancellationToken) {
    let open = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                prepare(&stream);
                open.spawn(converse(stream, peer, router.clone(), silence, shutdown.clone()));
            }
            Err(error) => accept_later(&error, &shutdown).await,
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Answers one client, until it goes or is cut off, or has its last answer.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, silence: Duration, shutdown: CancellationToken) {
    let answer = service_fn(move |request| respond(router.clone(), request, peer));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(silence).max_buf_size(LONGEST_HEAD);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer).with_upgrades());
    let ended = if let Some(ended) = shutdown.run_until_cancelled(connection.as_mut()).await {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection was cut off");
    }
}

async fn respond(
    mut router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.call(request).await
}

/// A client that has gone again is no reason to wait; what else goes wrong may be mended by those that end.
async fn accept_later(error: &Error, shutdown: &CancellationToken) {
    let is_the_clients = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset]
        .contains(&error.kind());
    if !is_the_clients {
        tracing::error!(%error, "no connection can be accepted");
        shutdown.run_until_cancelled(sleep(FULL)).await;
    }
}

fn prepare(stream: &TcpStream) {
    // Small pieces go out at once: they are what a stream is for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small pieces may wait for others");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, STANDSTILL_MILLIS) {
        tracing::debug!(%error, "who reads nothing may stay");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Served {
        address: SocketAddr,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<()>,
    }

    async fn served(router: Router, silence: u64) -> Served {
        let (listener, stop) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new());
        let address = listener.local_addr().unwrap();
        let ended = tokio::spawn(serve(listener, router, Duration::from_millis(silence), stop.clone()));
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
}
