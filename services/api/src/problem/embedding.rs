//! What can be wrong with vectors, or with looking for what is near to one.

use axum::http::StatusCode;

use super::{Problem, Shape, shape};

#[derive(Debug, Clone, Copy)]
pub(crate) enum EmbeddingProblem {
    /// The model's other vectors have more numbers, or fewer.
    Mismatch,
    /// This Postgres can't tell what is near.
    ExtensionMissing,
    /// The model that reads queries gives no vector.
    ProviderFailed,
    /// It gives others than messages have.
    ModelChanged,
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
                "Semantic search needs the Postgres extension pgvector, 0.7 or later: install it, run \
                 `create extension vector` in the database, then `colloquy rebuild embeddings`.",
            ),
            Self::ProviderFailed => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "embedding_provider_failed",
                "The provider's model gave no vector of the query. Please try again later, or name the model \
                 colloquy-hash-256, which is always there.",
            ),
            Self::ModelChanged => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "embedding_model_changed",
                "The provider's model gives vectors of another number of dimensions than it gave your messages. \
                 Whoever runs this service has to put it right; the model colloquy-hash-256 is always there.",
            ),
        }
    }

    /// Whether it has nothing to do with what was asked for.
    pub(crate) const fn is_the_providers(self) -> bool {
        matches!(self, Self::ProviderFailed | Self::ModelChanged)
    }
}

impl From<EmbeddingProblem> for Problem {
    fn from(problem: EmbeddingProblem) -> Self {
        Self::Embedding(problem)
    }
}
