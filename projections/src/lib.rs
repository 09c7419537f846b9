//! `projector ─▶ read model ─▶ query`: one file for each read model, with its rows, its apply and its queries.

mod all;
mod change;
pub mod embeddings;
pub mod history;
pub mod rate_limit;
pub mod search;
pub mod token_activity;
pub mod usage;

pub use all::{ReadModels, SEARCH_PATH};
pub use change::{Change, Projection};
pub use embeddings::Embeddings;
pub use history::History;
pub use rate_limit::RateLimit;
pub use search::Search;
pub use token_activity::TokenActivity;
pub use usage::Usage;
