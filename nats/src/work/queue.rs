//! Work in one process: what waits, and what is there at all, be it waiting or being made.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::MessageId;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Queue {
    held: Mutex<Jobs>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Jobs {
    /// Each with whether somebody had it before.
    waiting: VecDeque<(MessageId, bool)>,
    there: HashSet<MessageId>,
}

impl Queue {
    pub(super) fn offer(&self, reply: MessageId) {
        let mut jobs = self.jobs();
        if jobs.there.insert(reply) {
            jobs.waiting.push_back((reply, false));
            self.more.notify_one();
        }
    }

    /// Puts back what somebody had, before all that nobody had yet.
    pub(super) fn again(&self, reply: MessageId) {
        self.jobs().waiting.push_front((reply, true));
        self.more.notify_one();
    }

    pub(super) fn done(&self, reply: MessageId) {
        self.jobs().there.remove(&reply);
    }

    pub(super) async fn next(&self) -> (MessageId, bool) {
        loop {
            if let Some(job) = self.take() {
                return job;
            }
            self.more.notified().await;
        }
    }

    /// One notice may stand for several jobs; who takes one wakes the next who waits.
    fn take(&self) -> Option<(MessageId, bool)> {
        let mut jobs = self.jobs();
        let job = jobs.waiting.pop_front();
        if !jobs.waiting.is_empty() {
            self.more.notify_one();
        }
        job
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
