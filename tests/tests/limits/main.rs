//! Limits: exact over all nodes, told on every answer, kept over restarts and losses, and what happens without them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod away;
mod budgets;
mod budgets_of_nodes;
mod cast;
mod http;
mod large;
mod law;
mod lost;
mod nodes;
mod settings;
mod uncounted;
