//! What every handler has: the executor for commands, the read models for queries, the keepers of secrets.

use std::sync::Arc;

use nats::Bus;
use projector::State;
use store::{Clock, Executor, Log, ReadModel};
use tokio::sync::watch;

use crate::access_token::AccessTokens;
use crate::own_writes::OwnWrites;
use crate::passwords::Passwords;

/// The one state of all handlers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct Parts {
    pub log: Log,
    pub bus: Bus,
    pub executor: Executor,
    pub history: ReadModel,
    /// How the projections of this node fare; none where it runs no projector.
    pub projections: Vec<(&'static str, watch::Receiver<State>)>,
    pub access_tokens: AccessTokens,
    pub passwords: Passwords,
    pub own_writes: OwnWrites,
}

impl App {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.0.executor.clock()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
