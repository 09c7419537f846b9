//! The fake provider itself: does it speak as the vendors do, and fail as its scripts say?
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod ask;
mod connections;
mod scripts;
mod speech;
mod vectors;
