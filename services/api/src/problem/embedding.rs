//! What can be wrong with vectors, or with looking for what is near to one.

use axum::http::StatusCode;

use super::{Problem, Shape, shape};

#[derive(Debug, Clone, Copy)]
pub(crate) enum EmbeddingProblem {
    /// The model's other vectors have more numbers, or fewer.
    Mismatch,
    /// This Postgres can't tell what is near.
    ExtensionMissing,
}

impl EmbeddingProblem {
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::Mismatch => shape(
                StatusCode::UNPROCESSABLE_ENTITY,
                "embedding_mismatch",
                "Your vectors of this model have another number of dimensions.",
            ),
            Self::ExtensionMissing => shape(
                StatusCode::NOT_IMPLEMENTED,
                "vector_extension_missing",
                "Semantic search needs the Postgres extension pgvector: install it, run \
                 `create extension vector` in the database, then `colloquy rebuild embeddings`.",
            ),
        }
    }
}

impl From<EmbeddingProblem> for Problem {
    fn from(problem: EmbeddingProblem) -> Self {
        Self::Embedding(problem)
    }
}
