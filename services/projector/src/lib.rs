//! `bus ─▶ read model`: applies the log to the read models, one worker at a time for each.

mod rebuild;
mod worker;

pub use rebuild::{RebuildError, rebuild};
pub use worker::{State, Worker};
