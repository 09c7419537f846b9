//! What a fake provider was told and what it was asked, shared by its connections.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::dialect::Request;
use super::{Asked, Closed, Script};

pub(super) struct State {
    told: Mutex<Told>,
    pub asked: watch::Sender<Vec<Asked>>,
    pub open: watch::Sender<usize>,
    pub releases: watch::Sender<usize>,
    pub embedded: watch::Sender<Vec<String>>,
    closed: mpsc::UnboundedSender<Closed>,
}

#[derive(Default)]
struct Told {
    next: VecDeque<Arc<Script>>,
    next_to_embed: VecDeque<Arc<Script>>,
    models: HashMap<String, Arc<Script>>,
}

/// An answer that is being given, from its request on.
pub(super) struct Open<'a> {
    state: &'a State,
    pub asked: Asked,
    /// How many releases there had been before it was asked for.
    pub released: usize,
}

impl State {
    pub fn new(closed: mpsc::UnboundedSender<Closed>) -> Self {
        let (asked, open, releases) = (watch::Sender::default(), watch::Sender::default(), watch::Sender::default());
        Self { told: Mutex::default(), asked, open, releases, embedded: watch::Sender::default(), closed }
    }

    pub fn then(&self, script: Script) {
        self.told().next.push_back(Arc::new(script));
    }

    pub fn then_embeds(&self, script: Script) {
        self.told().next_to_embed.push_back(Arc::new(script));
    }

    pub fn always(&self, model: &str, script: Script) {
        self.told().models.insert(model.to_owned(), Arc::new(script));
    }

    /// The models that were named by `always`.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<_> = self.told().models.keys().cloned().collect();
        models.sort_unstable();
        models
    }

    /// Writes a request down, and says what is to be done with it: what is fixed, or what was told.
    /// It has its script, and counts as open, before anyone can see that it was made.
    pub fn open(&self, request: Request, fixed: Option<Script>) -> (Open<'_>, Arc<Script>) {
        let mut asked = request.into_asked();
        let mut told = self.told();
        let script = fixed.map_or_else(|| told.script(&asked), Arc::new);
        let released = *self.releases.borrow();
        self.open.send_modify(|open| *open += 1);
        self.asked.send_modify(|all| {
            asked.number = all.len();
            all.push(asked.clone());
        });
        (Open { state: self, asked, released }, script)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn script(&mut self, asked: &Asked) -> Arc<Script> {
        let embeds = !asked.texts.is_empty();
        let next = if embeds { &mut self.next_to_embed } else { &mut self.next };
        let next = next.pop_front().or_else(|| self.models.get(&asked.model).map(Arc::clone));
        let usual = || if embeds { Script::vectors() } else { Script::echo(last_of_the_user(asked)) };
        next.unwrap_or_else(|| Arc::new(usual()))
    }
}

impl Open<'_> {
    /// The client has gone. It no longer counts as open when that is heard.
    pub fn closed_by_client(self, said: String) {
        let closed = Closed { asked: self.asked.clone(), at: Instant::now(), said };
        let sender = self.state.closed.clone();
        drop(self);
        // Nobody listens any more only when the provider itself is being dropped.
        let _ = sender.send(closed);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.state.open.send_modify(|open| *open -= 1);
    }
}

fn last_of_the_user(asked: &Asked) -> &str {
    let mut messages = asked.messages.as_array().into_iter().flatten().rev();
    let last = messages.find(|message| message["role"] == "user");
    last.and_then(|message| message["content"].as_str()).unwrap_or_default()
}
