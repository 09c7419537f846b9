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
    /// It would refuse these texts again.
    TextsRefused,
    TextsFailed,
    /// Its provider takes no more for the moment: come again after so many seconds.
    TextsLimited(Option<u32>),
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
            Self::TextsRefused => {
                shape(StatusCode::BAD_REQUEST, "texts_refused", "The model's provider does not take these texts.")
            }
            Self::TextsFailed => {
                shape(StatusCode::BAD_GATEWAY, "provider_failed", "The model's provider gave no vectors.")
            }
            Self::TextsLimited(_) => shape(
                StatusCode::TOO_MANY_REQUESTS,
                "provider_rate_limited",
                "The model's provider takes no more requests for the moment. Please try again later.",
            ),
        }
    }

    pub(super) const fn retry_after(self) -> Option<u32> {
        if let Self::TextsLimited(seconds) = self { seconds } else { None }
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
