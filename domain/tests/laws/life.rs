//! A stream's life: some commands, what was answered to each, and how it ended.

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cqrs_es::event_sink::EventSink;
use domain::{Decide, Timestamp};

/// What can live: every aggregate of this crate.
pub trait Living: Decide<Command: Clone + Debug + PartialEq, Error: PartialEq + Debug> + Debug + PartialEq {}

impl<A: Decide<Command: Clone + Debug + PartialEq, Error: PartialEq + Debug> + Debug + PartialEq> Living for A {}

pub type Commands<A> = Vec<(<A as cqrs_es::Aggregate>::Command, Timestamp)>;

/// One command in a stream's life.
#[derive(Debug, PartialEq)]
pub struct Step<A: Living> {
    pub command: A::Command,
    pub now: Timestamp,
    pub before: A,
    pub after: A,
    pub answer: Result<Vec<A::Event>, A::Error>,
}

#[derive(Debug, PartialEq)]
pub struct Life<A: Living> {
    pub steps: Vec<Step<A>>,
    pub end: A,
}

impl<A: Living> Life<A> {
    /// Goes the way of `cqrs-es`: through `handle`, which applies what it decides.
    pub fn of(commands: &Commands<A>) -> Self {
        let mut state = A::default();
        let steps = commands.iter().map(|(command, now)| step(&mut state, command, *now)).collect();
        Self { steps, end: state }
    }

    pub fn events(&self) -> Vec<A::Event> {
        self.steps.iter().flat_map(|step| step.answer.iter().flatten()).cloned().collect()
    }
}

fn step<A: Living>(state: &mut A, command: &A::Command, now: Timestamp) -> Step<A> {
    let before = state.clone();
    let sink = EventSink::default();
    let handled = at_once(state.handle(command.clone(), &now, &sink));
    let answer = handled.map(|()| at_once(sink.collect()));
    Step { command: command.clone(), now, before, after: state.clone(), answer }
}

/// A decision waits for nothing, so its future is ready when first asked.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a decision waited for something"),
    }
}

/// The state that events alone give.
pub fn replay<A: Living>(events: Vec<A::Event>) -> A {
    events.into_iter().fold(A::default(), |mut state, event| {
        state.apply(event);
        state
    })
}
