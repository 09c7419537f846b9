//! The thread on which providers are listened to.
//!
//! The library copies what it holds of an unfinished event for each piece that arrives, and reads on for as long as
//! pieces do arrive: megabytes without an end of line would keep a thread for minutes, past every deadline. Here no more
//! arrives while it copies, so it comes back after each piece, and [`patiently`] may give it up. And whatever a provider
//! sends, those who serve people are elsewhere.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::provider::fault::Fault;

/// So long one event may keep the thread, in all: many times what the longest reply needs in one piece.
const TOIL: Duration = Duration::from_secs(1);

/// Ends when it is dropped, and every answer with it.
pub struct Booth {
    handle: Handle,
    _open: oneshot::Sender<()>,
}

impl Booth {
    pub fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        thread::Builder::new().name("providers".to_owned()).spawn(move || runtime.block_on(closed))?;
        Ok(Self { handle, _open: open })
    }

    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(task)
    }
}

/// The next event, unless it is too much work to wait for.
pub async fn patiently<S: Stream + Unpin>(stream: &mut S) -> Result<Option<S::Item>, Fault> {
    let mut toil = Duration::ZERO;
    poll_fn(|context| {
        let begun = Instant::now();
        let next = stream.poll_next_unpin(context);
        toil += begun.elapsed();
        if next.is_pending() && toil > TOIL { Poll::Ready(Err(Fault::Garbled)) } else { next.map(Ok) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn an_event_that_costs_too_much_work_is_given_up() {
        let mut toilsome = stream::poll_fn(|context| {
            let until = Instant::now() + TOIL / 4;
            while Instant::now() < until {}
            context.waker().wake_by_ref();
            Poll::<Option<()>>::Pending
        });
        assert_eq!(patiently(&mut toilsome).await, Err(Fault::Garbled));
    }

    #[tokio::test]
    async fn one_that_is_only_waited_for_is_not() {
        let mut events = Box::pin(stream::once(async {
            tokio::time::timeout(TOIL * 2, std::future::pending::<()>()).await.unwrap_err();
        }));
        assert_eq!(patiently(&mut events).await, Ok(Some(())));
    }
}
