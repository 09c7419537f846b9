//! Runs commands: load or reuse, decide, append, answer with the position; again from the start after a conflict.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{TokenId, UserId};
use domain::{Decide, Metadata, Timestamp};
use serde_json::value::to_raw_value;
use tracing::Instrument;
use uuid::Uuid;

use crate::streams::{self, Versioned};
use crate::{Append, AppendError, Clock, Guard, Log, NewEvent, Position, StoreError, fresh_id};

/// Something that somebody wants to happen: it loads streams, lets them decide, and says what the caller is told.
pub trait Command: Sync {
    /// The command's name, as traces show it.
    const NAME: &'static str;
    type Output: Send;
    type Error: From<StoreError> + Send;

    fn run(&self, unit: &mut Unit<'_>) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// What a command came to.
#[derive(Debug)]
pub struct Done<T> {
    pub output: T,
    /// Where its last event stands; `None` where nothing had to happen.
    pub position: Option<Position>,
}

/// Runs commands against one log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Executor {
    log: Log,
    clock: Clock,
    states: moka::sync::Cache<StreamKey, Cached>,
}

type StreamKey = (&'static str, String);
type Cached = Arc<dyn Any + Send + Sync>;

/// How many states are kept for reuse.
const STATES: u64 = 8_192;
/// How often a command is run before its conflict is given up: where many write to one stream, one of them wins each time.
const ATTEMPTS: u32 = 32;
/// From which attempt on a command lets others pass first.
const PATIENT: u32 = 4;

impl Executor {
    #[must_use]
    pub fn new(log: Log, clock: Clock) -> Self {
        Self { log, clock, states: moka::sync::Cache::new(STATES) }
    }

    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs a command to its end. A conflict, or a refusal that may be due to a state kept too long, runs it again on
    /// fresh states.
    pub async fn execute<C: Command>(&self, command: &C, metadata: Metadata) -> Result<Done<C::Output>, C::Error> {
        self.attempt(command, &metadata).instrument(tracing::info_span!("command", command = C::NAME)).await
    }

    /// A stream's state as the database has it, for who only wants to look.
    pub async fn look<A: Decide>(&self, id: A::Id) -> Result<A, StoreError> {
        Ok(self.current::<A>(&(A::TYPE, id.to_string())).await?.state)
    }

    /// What this process remembers spares reading the stream from its beginning.
    async fn current<A: Decide>(&self, key: &StreamKey) -> Result<Versioned<A>, StoreError> {
        match self.states.get(key).and_then(|kept| versioned::<A>(&kept)) {
            Some(kept) => streams::catch_up(self.log.db(), &key.1, &kept).await,
            None => streams::load(self.log.db(), &key.1).await,
        }
    }

    async fn attempt<C: Command>(&self, command: &C, metadata: &Metadata) -> Result<Done<C::Output>, C::Error> {
        let mut attempt = 1;
        loop {
            let mut unit = Unit::new(self, metadata);
            let decided = command.run(&mut unit).await;
            if decided.is_err() && attempt < ATTEMPTS && unit.forget_reused() {
                attempt += 1;
                continue;
            }
            let output = decided?;
            match unit.append().await {
                Ok(position) => return Ok(Done { output, position }),
                Err(AppendError::Conflict) if attempt < ATTEMPTS => {
                    tracing::debug!(command = C::NAME, attempt, "conflict");
                    unit.forget();
                    if attempt >= PATIENT {
                        stand_aside(attempt).await;
                    }
                    attempt += 1;
                }
                Err(AppendError::Conflict) => return Err(C::Error::from(StoreError::Contended)),
                Err(AppendError::Store(error)) => return Err(C::Error::from(error)),
            }
        }
    }
}

/// One attempt at a command: what it has read so far, and what it wants to append.
#[derive(Debug)]
pub struct Unit<'a> {
    executor: &'a Executor,
    now: Timestamp,
    metadata: Cow<'a, Metadata>,
    work: Work,
}

#[derive(Debug, Default)]
struct Work {
    streams: HashMap<StreamKey, Touched>,
    /// In the order in which they were decided.
    events: Vec<serde_json::Result<NewEvent>>,
}

#[derive(Debug)]
struct Touched {
    /// The version that was read: 0 for a new stream.
    base: i64,
    version: i64,
    reused: bool,
    state: Cached,
}

impl Touched {
    /// Whether its state is worth keeping, and not kept yet. Most streams are begun, and nobody comes back to them: one
    /// that was just begun is kept when it is loaded for the first time.
    const fn is_news(&self) -> bool {
        self.base > 0 && !(self.reused && self.version == self.base)
    }
}

impl<'a> Unit<'a> {
    fn new(executor: &'a Executor, metadata: &'a Metadata) -> Self {
        Self { executor, now: executor.clock.now(), metadata: Cow::Borrowed(metadata), work: Work::default() }
    }

    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Says who is doing this, where the command itself found out.
    pub fn is_done_by(&mut self, user: UserId, session: TokenId) {
        let metadata = self.metadata.to_mut();
        (metadata.user, metadata.session) = (Some(user), Some(session));
    }

    /// A stream as the database has it, whatever this process remembers: see [`Unit::load`].
    pub async fn load_fresh<A: Decide>(&mut self, id: A::Id) -> Result<Stream<'_, A>, StoreError> {
        let key = (A::TYPE, id.to_string());
        if !self.work.streams.contains_key(&key) {
            let at = Arc::new(self.executor.current::<A>(&key).await?);
            let touched = Touched { base: at.version, version: at.version, reused: false, state: at };
            self.work.streams.insert(key, touched);
        }
        self.load(id).await
    }

    /// A stream as it stands; that it still stands so is part of what is appended.
    pub async fn load<A: Decide>(&mut self, id: A::Id) -> Result<Stream<'_, A>, StoreError> {
        let key = (A::TYPE, id.to_string());
        if let Some(touched) = self.work.streams.get(&key) {
            let at = versioned::<A>(&touched.state).ok_or(StoreError::Corrupt("two kinds of one stream".into()))?;
            return Ok(self.stream(key, (*at).clone()));
        }
        let kept = self.executor.states.get(&key).and_then(|kept| versioned::<A>(&kept));
        let reused = kept.is_some();
        let at = match kept {
            Some(kept) => kept,
            None => Arc::new(streams::load::<A>(self.executor.log.db(), &key.1).await?),
        };
        let touched = Touched { base: at.version, version: at.version, reused, state: at.clone() };
        self.work.streams.insert(key.clone(), touched);
        Ok(self.stream(key, (*at).clone()))
    }

    /// A stream that nobody can know yet, as its id is new.
    pub fn begin<A: Decide>(&mut self, id: A::Id) -> Stream<'_, A> {
        let key = (A::TYPE, id.to_string());
        let at = Versioned::<A>::default();
        let touched = Touched { base: 0, version: 0, reused: false, state: Arc::new(at.clone()) };
        self.work.streams.insert(key.clone(), touched);
        self.stream(key, at)
    }

    fn stream<A: Decide>(&mut self, key: StreamKey, at: Versioned<A>) -> Stream<'_, A> {
        Stream { at, now: self.now, key, work: &mut self.work }
    }

    /// Forgets the states that were reused; whether there were any.
    fn forget_reused(&self) -> bool {
        let mut reused = self.work.streams.iter().filter(|(_, touched)| touched.reused).map(|(key, _)| key).peekable();
        let any = reused.peek().is_some();
        reused.for_each(|key| self.executor.states.invalidate(key));
        any
    }

    fn forget(&self) {
        self.work.streams.keys().for_each(|key| self.executor.states.invalidate(key));
    }

    async fn append(&mut self) -> Result<Option<Position>, AppendError> {
        let append = self.work.take(&self.metadata, self.now).map_err(unwritable)?;
        let position = if append.events.is_empty() { None } else { Some(self.executor.log.append(append).await?) };
        for (key, touched) in self.work.streams.drain().filter(|(_, touched)| touched.is_news()) {
            self.executor.states.insert(key, touched.state);
        }
        Ok(position)
    }
}

/// For a moment that is another for each of those who compete, and longer the longer they do.
async fn stand_aside(attempt: u32) {
    let [.., chance] = *fresh_id::<Uuid>().as_bytes();
    tokio::time::sleep(Duration::from_micros(u64::from(chance) * u64::from(attempt))).await;
}

fn versioned<A: Decide>(state: &Cached) -> Option<Arc<Versioned<A>>> {
    state.clone().downcast().ok()
}

fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("an event can't be written: {error}").into())
}

impl Work {
    /// The decisions as one append: streams that were read and have not grown become guards.
    fn take(&mut self, metadata: &Metadata, now: Timestamp) -> serde_json::Result<Append> {
        let read_only = self.streams.iter().filter(|(_, touched)| touched.version == touched.base);
        let guard = |(key, touched): (&StreamKey, &Touched)| Guard {
            stream_type: key.0,
            stream_id: key.1.clone(),
            sequence: touched.base,
        };
        Ok(Append {
            guards: read_only.map(guard).collect(),
            events: self.events.drain(..).collect::<Result<_, _>>()?,
            metadata: to_raw_value(metadata)?,
            recorded_at: now,
        })
    }
}

/// A stream in the hands of a command.
#[derive(Debug)]
pub struct Stream<'u, A: Decide> {
    at: Versioned<A>,
    now: Timestamp,
    key: StreamKey,
    work: &'u mut Work,
}

impl<A: Decide> Stream<'_, A> {
    #[must_use]
    pub const fn state(&self) -> &A {
        &self.at.state
    }

    /// How many events it has.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.at.version
    }

    /// Lets the stream decide; what follows is appended when the command ends, together with all else that it decided.
    pub fn decide(&mut self, command: A::Command) -> Result<(), A::Error> {
        for event in self.at.state.decide(command, self.now)? {
            self.at.version += 1;
            self.work.events.push(self.new_event(&event));
            self.at.state.apply(event);
        }
        if let Some(touched) = self.work.streams.get_mut(&self.key) {
            touched.version = self.at.version;
            touched.state = Arc::new(self.at.clone());
        }
        Ok(())
    }

    fn new_event(&self, event: &A::Event) -> serde_json::Result<NewEvent> {
        let (event_type, event_version) = A::contract(event);
        Ok(NewEvent {
            stream_type: A::TYPE,
            stream_id: self.key.1.clone(),
            sequence: self.at.version,
            event_type,
            event_version,
            payload: to_raw_value(event)?,
        })
    }
}
