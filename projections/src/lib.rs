//! `projector ─▶ read model ─▶ query`: one file for each read model, with its rows, its apply and its queries.

mod change;
pub mod history;

pub use change::{Change, Projection};
pub use history::History;
