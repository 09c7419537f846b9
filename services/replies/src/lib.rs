//! `log ─▶ reply`: asks a provider for what a message awaits, and says the answer as it comes. `log ─▶ vector`: has one embed
//! what was said.

mod context;
mod embedder;
mod live;
mod making;
pub mod metrics;
mod provider;
mod replier;
mod titles;

pub use context::{Context, tokens};
pub use embedder::Embedder;
pub use live::{Ended, Live, News, Watch};
pub use replier::{Parts, Replier};
pub use titles::Titles;

pub use provider::{
    Answer, ApiKey, Ask, BadProviders, BaseUrl, Choice, EmbeddingsConfig, Failure, Fallbacks, Limits, ModelShown,
    Piece, Prices, ProviderConfig, Providers, ProvidersConfig, Speaker, TokensUsed, Turn, Unembedded, UnknownModel,
    Vectors,
};
