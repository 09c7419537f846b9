//! `reply ─▶ watcher`: the growing texts of replies, in this process and, over the bus, in every other.
//!
//! A text is known by its bytes: a watcher says up to which byte it has the text, and gets all that has come since, however
//! many pieces that was. So a slow watcher holds up nobody, and one that comes back gets exactly the rest, on any node.
//! How a reply ended is told by the log alone.

mod author;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use domain::Event;
use domain::chat::reply::{Ending, Said};
use domain::ids::MessageId;
use nats::{Bus, BusError, Chunk, Feed};
use store::{Log, Position, Recorded, in_full};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

pub(crate) use author::Author;

/// The replies that somebody makes or watches here. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bus: Bus,
    growing: Mutex<HashMap<MessageId, Weak<Growing>>>,
}

/// One reply's text; gone when nobody here makes or watches it.
#[derive(Debug)]
struct Growing {
    reply: MessageId,
    grown: Mutex<Grown>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
    of: Weak<Inner>,
}

#[derive(Debug, Default)]
struct Grown {
    text: String,
    /// Somebody is making it, here or elsewhere.
    begun: bool,
    made_here: bool,
    ended: Option<Arc<Ended>>,
    /// Ends when the reply is made here, or nobody watches any more.
    hearing: Option<AbortOnDropHandle<()>>,
}

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub ending: Ending,
    pub said: Said,
    /// Where the log says so; `None` where the history said it.
    pub position: Option<Position>,
}

/// What has come of a reply since a watcher last asked.
#[derive(Debug, Clone)]
pub struct News {
    pub text: String,
    /// Up to which byte the watcher has the text now.
    pub upto: usize,
    pub ended: Option<Arc<Ended>>,
}

impl Live {
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self(Arc::new(Inner { bus, growing: Mutex::default() }))
    }

    /// Watches a reply from now on, wherever it is made.
    #[must_use]
    pub fn watch(&self, reply: MessageId) -> Watch {
        let watch = self.watch_end(reply);
        hear(&self.0, &watch.growing);
        watch
    }

    /// Watches for a reply's end, and for its text only where it is made in this process.
    #[must_use]
    pub fn watch_end(&self, reply: MessageId) -> Watch {
        let growing = self.join(reply);
        let changes = growing.changes.subscribe();
        Watch { growing, changes }
    }

    /// Whether somebody makes a reply that is awaited, as far as can be told.
    #[must_use]
    pub async fn has_begun(&self, reply: MessageId) -> bool {
        if self.find(reply).is_some_and(|growing| growing.locked().begun) {
            return true;
        }
        self.0.bus.said(reply).await.is_ok_and(|said| !said.is_empty())
    }

    /// For whoever makes the reply, in this process.
    pub(crate) fn author(&self, reply: MessageId) -> Author {
        let growing = self.join(reply);
        let mut grown = growing.locked();
        (grown.begun, grown.made_here) = (true, true);
        // What comes over the bus would be what is said here.
        grown.hearing = None;
        drop(grown);
        Author::new(growing, self.clone())
    }

    fn find(&self, reply: MessageId) -> Option<Arc<Growing>> {
        locked(&self.0.growing).get(&reply).and_then(Weak::upgrade)
    }

    /// Nobody here has it yet: it begins with what a process that died has left of it.
    fn join(&self, reply: MessageId) -> Arc<Growing> {
        if let Some(growing) = self.find(reply) {
            return growing;
        }
        let text = self.0.bus.left_of(reply);
        let mut all = locked(&self.0.growing);
        if let Some(growing) = all.get(&reply).and_then(Weak::upgrade) {
            return growing;
        }
        let grown = Mutex::new(Grown { begun: !text.is_empty(), text, ..Grown::default() });
        let growing = Growing { reply, grown, changes: watch::Sender::default(), of: Arc::downgrade(&self.0) };
        let growing = Arc::new(growing);
        all.insert(reply, Arc::downgrade(&growing));
        growing
    }

    /// Tells watchers how replies end, from a position on that the log had before anybody watched, until told to stop.
    pub async fn run(&self, log: Log, from: Position, shutdown: CancellationToken) {
        // It is kept over errors: what ends meanwhile is seen late, but it is seen.
        let mut feed = Feed::new(log, self.0.bus.tail().clone(), from);
        let work = async {
            loop {
                match feed.next(BATCH).await {
                    Ok(events) => events.iter().for_each(|event| self.end(event)),
                    Err(error) => {
                        tracing::warn!(cause = in_full(&error), "the ends of replies are not seen for a moment");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    fn end(&self, recorded: &Recorded) {
        if !ENDINGS.contains(&recorded.event_type.as_str()) {
            return;
        }
        let Ok(Event::Message(reply, event)) = recorded.event() else { return };
        let Some(growing) = self.find(reply) else { return };
        if let Some((ending, said)) = event.ending() {
            growing.end(Ended { ending, said: said.clone(), position: Some(recorded.position) });
        }
    }
}

const ENDINGS: [&str; 3] = ["ReplyCompleted", "ReplyStopped", "ReplyInterrupted"];
const BATCH: usize = 1_000;
const RETRY: Duration = Duration::from_millis(250);

/// Lets a text grow by what other processes tell, until this one makes the reply itself.
fn hear(of: &Inner, growing: &Arc<Growing>) {
    let mut grown = growing.locked();
    if !of.bus.is_shared() || grown.made_here || grown.hearing.is_some() || grown.ended.is_some() {
        return;
    }
    let (bus, reply, heard_by) = (of.bus.clone(), growing.reply, Arc::downgrade(growing));
    grown.hearing = Some(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if let Err(error) = take_all(&bus, reply, &heard_by).await {
                tracing::debug!(cause = in_full(&error), "a reply is not heard for a moment");
            }
            if heard_by.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    })));
}

async fn take_all(bus: &Bus, reply: MessageId, heard_by: &Weak<Growing>) -> Result<(), BusError> {
    let mut hearing = bus.hear(reply).await?;
    while let Some(chunk) = hearing.next().await {
        let Some(growing) = heard_by.upgrade() else { break };
        growing.take(&chunk);
    }
    Ok(())
}

impl Growing {
    fn locked(&self) -> MutexGuard<'_, Grown> {
        locked(&self.grown)
    }

    /// Adds what is new of a piece. A piece that leaves a gap before it is left out: the end brings the whole text.
    fn take(&self, chunk: &Chunk) {
        let mut grown = self.locked();
        grown.begun = true;
        let known = usize::try_from(chunk.at).ok().and_then(|at| grown.text.len().checked_sub(at));
        let Some(new) = known.and_then(|known| chunk.text.get(known..)).filter(|new| !new.is_empty()) else { return };
        grown.text.push_str(new);
        drop(grown);
        self.changed();
    }

    fn end(&self, ended: Ended) {
        let mut grown = self.locked();
        grown.hearing = None;
        grown.ended = Some(Arc::new(ended));
        drop(grown);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What has come since byte `from`; `None` while there is nothing.
    fn news(&self, from: usize) -> Option<News> {
        let grown = self.locked();
        let text = grown.ended.as_ref().map_or(grown.text.as_str(), |ended| ended.said.text.as_str());
        // What is no border between characters was never given to anybody.
        let from = text.floor_char_boundary(from);
        let new = text.get(from..).unwrap_or_default();
        let news = || News { text: new.to_owned(), upto: from + new.len(), ended: grown.ended.clone() };
        (!new.is_empty() || grown.ended.is_some()).then(news)
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let Some(of) = self.of.upgrade() else { return };
        let mut all = locked(&of.growing);
        // Somebody may have begun anew meanwhile.
        if all.get(&self.reply).is_some_and(|growing| growing.strong_count() == 0) {
            all.remove(&self.reply);
        }
    }
}

/// Somebody's view of one reply.
#[derive(Debug)]
pub struct Watch {
    growing: Arc<Growing>,
    changes: watch::Receiver<u64>,
}

impl Watch {
    /// Of a reply that has ended already.
    #[must_use]
    pub fn of_ended(ended: Ended) -> Self {
        let grown = Grown { ended: Some(Arc::new(ended)), ..Grown::default() };
        let (changes, of) = (watch::Sender::default(), Weak::new());
        let seen = changes.subscribe();
        let reply = MessageId::from(Uuid::nil());
        Self { growing: Arc::new(Growing { reply, grown: Mutex::new(grown), changes, of }), changes: seen }
    }

    /// All the text that has come.
    #[must_use]
    pub fn heard(&self) -> String {
        self.growing.news(0).map(|news| news.text).unwrap_or_default()
    }

    /// Waits for what comes after byte `from` of the text, or for the end. May be dropped and asked again.
    pub async fn next(&mut self, from: usize) -> News {
        loop {
            self.changes.borrow_and_update();
            if let Some(news) = self.growing.news(from) {
                return news;
            }
            // The sender lives as long as `growing`.
            let _ = self.changes.changed().await;
        }
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.growing.locked().ended.is_some()
    }

    /// Waits for the end.
    pub async fn end(&mut self) -> Arc<Ended> {
        loop {
            self.changes.borrow_and_update();
            if let Some(ended) = self.growing.locked().ended.clone() {
                return ended;
            }
            // The sender lives as long as `growing`.
            let _ = self.changes.changed().await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
