//! What the service says of itself at `/openapi.json`, `/docs` and `/redoc`, tried against the real binary.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's words are its panics")]

mod cast;
mod contract;
mod pages;
