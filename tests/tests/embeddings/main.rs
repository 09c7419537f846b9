//! The read model of vectors: what is near is found, what is gone is not; live equal to rebuilt; over HTTP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's words are its panics")]

mod bare;
mod cast;
mod http;
mod meaning;
mod neighbours;
mod nodes;
mod provided;
mod rows;
mod search;
