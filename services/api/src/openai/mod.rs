//! `OpenAI's request ─▶ the canonical commands and queries ─▶ OpenAI's answer`: what its own clients ask for, under `/v1`.

mod asked;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod models;
mod refusal;
mod stream;

pub(crate) use refusal::refusal;

/// What its models are called that are no provider's.
const OURS: &str = "colloquy";
