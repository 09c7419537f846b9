//! `/metrics` and the log's lines: who may read them, what is counted, what is known while something is away.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::panic,
    reason = "a test's words are its panics; what is counted is whole"
)]

mod access;
mod away;
mod counted;
mod lines;
mod nodes;
mod page;
