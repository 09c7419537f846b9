//! `decide`: what may happen, and what follows from it.
//!
//! Pure: no input or output, no clock, no randomness. A command and the state of its stream go in, events come out; the
//! present and every fresh id are arguments.

pub mod chat;
pub mod decide;
pub mod event;
pub mod ids;
pub mod limit;
#[cfg(test)]
mod testing;
pub mod time;
pub mod token;
pub mod user;
pub mod values;
mod words;

pub use decide::Decide;
pub use event::{Event, Metadata, UnknownEvent};
pub use time::Timestamp;
