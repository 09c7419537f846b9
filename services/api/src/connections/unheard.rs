//! What nobody has heard of a request's body when the answer is there, as where somebody is refused by what the head says.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use futures::future::poll_fn;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// A body that two have: whoever answers, and whoever hears it out.
#[derive(Clone)]
pub(super) struct Unheard(Arc<Mutex<Heard>>);

struct Heard {
    body: Incoming,
    /// Of some that is known only once it was asked for what comes next.
    is_over: bool,
}

/// How much more of it is heard, and how long.
const MOST: usize = 64 << 10;
const A_MOMENT: Duration = Duration::from_millis(500);

impl Unheard {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(Heard { body, is_over: false })))
    }

    /// Whether it does now. A client that has yet to send it would find its connection closed, and no answer; one that waits to be
    /// told to send it is not told so.
    pub(super) async fn comes_to_its_end(&mut self, waits: bool) -> bool {
        if waits || self.is_end_stream() {
            return self.is_end_stream();
        }
        let rest = async {
            let mut heard = 0;
            while heard <= MOST {
                match poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await {
                    Some(Ok(frame)) => heard += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        };
        timeout(A_MOMENT, rest).await.unwrap_or(false)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Unheard {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut heard = self.heard();
        let polled = Pin::new(&mut heard.body).poll_frame(context);
        heard.is_over |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        let heard = self.heard();
        heard.is_over || heard.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.heard().body.size_hint()
    }
}
