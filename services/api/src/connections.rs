//! How a client's connection behaves, whatever goes over it.

mod client;
mod places;
#[cfg(test)]
mod tests;
mod unheard;

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
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

use client::Client;
pub(crate) use places::Places;
use unheard::Unheard;

/// How long clients are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until a client has said what it wants, from the first moment or from the last answer on; then its connection ends.
    pub(crate) silence: Duration,
    /// While a client leaves unread what was sent to it; then its connection ends, and a reply goes on without it.
    pub(crate) standstill: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), standstill: Duration::from_secs(30) }
    }
}

/// How many bytes what it wants may take, without a body.
const LONGEST_HEAD: usize = 64 << 10;
/// After how long it is tried again where no more connections can be open.
const FULL: Duration = Duration::from_secs(1);

/// Answers whoever comes until told to stop; then lets end what has begun.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    places: Places,
    patience: Patience,
    shutdown: CancellationToken,
) {
    let open = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(next(&listener, &places)).await {
        match accepted {
            Ok((client, peer)) => {
                prepare(&client.stream, patience.standstill);
                open.spawn(converse(client, peer, router.clone(), patience.silence, shutdown.clone()));
            }
            Err(error) => accept_later(&error, &shutdown).await,
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// The next client for whom there is a place. Until there is one, whoever comes waits in the kernel's queue.
async fn next(listener: &TcpListener, places: &Places) -> io::Result<(Client, SocketAddr)> {
    loop {
        let room = places.room().await.ok_or(ErrorKind::Other)?;
        let (stream, peer) = listener.accept().await?;
        if let Some(place) = places.take(room, peer.ip()) {
            return Ok((Client::new(stream, place), peer));
        }
    }
}

/// Answers one client, until it goes or is cut off, or has its last answer.
async fn converse(client: Client, peer: SocketAddr, router: Router, silence: Duration, shutdown: CancellationToken) {
    let answer = service_fn(move |request| respond(router.clone(), request, peer));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(silence).max_buf_size(LONGEST_HEAD);
    let mut connection = pin!(http.serve_connection(TokioIo::new(client), answer).with_upgrades());
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
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let mut body = Unheard::new(body);
    let mut request = Request::from_parts(parts, Body::new(body.clone()));
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.call(request).await?;
    if !body.comes_to_its_end(waits).await {
        // It is closed after this answer, as nobody knows where the next request begins.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// A client that has gone again is no reason to wait; what else goes wrong may be mended by those that end.
async fn accept_later(error: &io::Error, shutdown: &CancellationToken) {
    let is_the_clients = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset]
        .contains(&error.kind());
    if !is_the_clients {
        tracing::error!(%error, "no connection can be accepted");
        shutdown.run_until_cancelled(sleep(FULL)).await;
    }
}

fn prepare(stream: &TcpStream, standstill: Duration) {
    // Small pieces go out at once: they are what a stream is for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small pieces may wait for others");
    }
    bound_standstill(stream, standstill);
}

#[cfg(target_os = "linux")]
fn bound_standstill(stream: &TcpStream, most: Duration) {
    let millis = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
        tracing::debug!(%error, "who reads nothing may stay");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_standstill(_stream: &TcpStream, _most: Duration) {}
