//! Files on messages: what is uploaded comes back, to whom it belongs and as what it is; and what is gone leaves no bytes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's words are its panics"
)]

mod bucket;
mod cast;
mod gone;
mod http;
mod nodes;
mod refusals;
mod repeats;
mod slow;
