//! How a client's connection behaves, whatever goes over it.

use tokio::net::TcpStream;

/// How long a client may leave unread what was sent to it; then its connection ends, and a reply goes on without it.
#[cfg(target_os = "linux")]
const STANDSTILL_MILLIS: u32 = 30_000;

pub(crate) fn prepare(stream: &TcpStream) {
    // Small pieces go out at once: they are what a stream is for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small pieces may wait for others");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, STANDSTILL_MILLIS) {
        tracing::debug!(%error, "who reads nothing may stay");
    }
}
