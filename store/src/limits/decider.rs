//! The one task of a process that decides: it takes all that wait, reads their states, hears each rule in turn, and keeps what
//! they say, as one. There is no timer: while it commits, the next batch gathers.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use domain::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::states::{Batch, States};
use super::tables::{self, Table};
use super::time::SharedTime;
use crate::{Db, StoreError, in_full};

/// What is to be decided: by which states, and how.
pub(super) struct Ask {
    pub(super) keys: Vec<String>,
    pub(super) case: Box<dyn Case>,
}

/// A rule, and who wants to know what it says.
pub(super) trait Case: Send {
    /// May be heard again, by newer states: what it says last counts.
    fn hear(&mut self, states: &mut States<'_>);
    /// Tells what it said, once that is kept.
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, error: StoreError);
}

pub(super) struct Ruled<T, R> {
    rule: R,
    said: Option<T>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, R> Ruled<T, R> {
    pub(super) const fn new(rule: R, asker: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { rule, said: None, asker }
    }
}

impl<T: Send, R: Fn(&mut States<'_>) -> T + Send> Case for Ruled<T, R> {
    fn hear(&mut self, states: &mut States<'_>) {
        self.said = Some((self.rule)(states));
    }

    fn answer(self: Box<Self>) {
        if let Some(said) = self.said {
            // Who asked may have gone.
            let _ = self.asker.send(Ok(said));
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.asker.send(Err(error));
    }
}

/// How many are decided on at once: few enough that others are posted meanwhile.
const AT_ONCE: usize = 64;
/// After so many decisions of a process it forgets what has expired.
const DECISIONS: usize = 256;
/// How long nobody waits for a database that has just failed.
const FAILED: Duration = Duration::from_secs(1);

pub(super) async fn run(db: Db, time: SharedTime, mut waiting: mpsc::Receiver<Ask>) {
    let (mut table, mut failed, mut decisions) = (Table::new(db.clone()), None::<(Instant, StoreError)>, 0);
    let (mut asks, mut forgetting) = (Vec::with_capacity(AT_ONCE), None);
    while waiting.recv_many(&mut asks, AT_ONCE).await > 0 {
        decisions += asks.len();
        let error = failed.take().filter(|(at, _)| at.elapsed() < FAILED);
        failed = match error {
            Some((at, error)) => {
                asks.drain(..).for_each(|ask| ask.case.fail(error.clone()));
                Some((at, error))
            }
            None => decide(&mut table, &time, &mut asks).await.err().map(|error| (Instant::now(), error)),
        };
        if decisions >= DECISIONS && forgetting.as_ref().is_none_or(JoinHandle::is_finished) {
            decisions = 0;
            forgetting = Some(tokio::spawn(forget(db.clone(), time.now())));
        }
    }
}

/// Beside the decisions: none waits for it.
async fn forget(db: Db, now: Timestamp) {
    if let Err(error) = tables::forget(&db, now).await {
        tracing::debug!(cause = in_full(&error), "expired limits are forgotten later");
    }
}

async fn decide(table: &mut Table, time: &SharedTime, asks: &mut Vec<Ask>) -> Result<(), StoreError> {
    let keys: BTreeSet<&String> = asks.iter().flat_map(|ask| &ask.keys).collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    let hear = |batch: &mut Batch, now: Timestamp| {
        for Ask { keys, case } in asks.iter_mut() {
            // One that panics is left without an answer; the others are heard all the same.
            let heard = catch_unwind(AssertUnwindSafe(|| case.hear(&mut States { keys, batch, now })));
            if heard.is_err() {
                tracing::error!("a rule panicked");
            }
        }
    };
    let decided = table.decide(&keys, time, hear).await;
    match &decided {
        Ok(()) => asks.drain(..).for_each(|ask| ask.case.answer()),
        Err(error) => {
            tracing::warn!(cause = in_full(error), "limits can't be decided on");
            asks.drain(..).for_each(|ask| ask.case.fail(error.clone()));
        }
    }
    decided
}
