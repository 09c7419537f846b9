//! `reply ─▶ model`: the port to whoever writes replies, or embeds what was said. Behind it: which provider a name means, pools
//! of keys, retries, deadlines, breakers and fallback; and one adapter, which alone knows the library that speaks to vendors.
//!
//! Until the first piece of text a failure moves on to the next key or provider, and nobody sees it. From then on
//! nothing is retried and nobody is switched: a failure is the reply's.

mod answer;
mod asking;
mod attempt;
mod backoff;
mod breaker;
mod catalog;
mod config;
mod embedding;
mod entry;
mod failure;
mod fallbacks;
mod fault;
mod keys;
mod known;
mod prices;
mod vendor;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use domain::chat::reply::FinishReason;

pub use answer::Answer;
pub use catalog::{BadProviders, Choice, ModelShown, UnknownModel};
pub use config::{ApiKey, BaseUrl, EmbeddingsConfig, Limits, ProviderConfig, ProvidersConfig};
pub use embedding::{Unembedded, Vectors};
pub use failure::Failure;
pub use fallbacks::Fallbacks;
pub use prices::Prices;

use asking::Inner;

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// `provider/model`, as [`Providers::choose`] gives it.
    pub model: String,
    pub turns: Vec<Turn>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f32>,
}

/// What somebody said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub speaker: Speaker,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    System,
    User,
    Assistant,
}

/// What comes of an answer, in this order: texts, none of them empty, and one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Done { usage: Option<TokensUsed>, finish: FinishReason },
}

/// What the provider says it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokensUsed {
    pub prompt: u32,
    pub completion: u32,
}

/// All providers that are configured. Cheap to clone.
#[derive(Clone)]
pub struct Providers(Arc<Inner>);

impl Debug for Providers {
    /// Keys are in there: what shows is what everybody may see.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Providers").field(&self.models()).finish()
    }
}

impl Providers {
    pub fn new(config: ProvidersConfig) -> Result<Self, BadProviders> {
        Ok(Self(Arc::new(Inner::new(config)?)))
    }

    /// Which model a request means: `provider/model`, a bare name, or nothing, which is the default. Where no provider
    /// is configured at all the rules answer, whatever the name.
    pub fn choose(&self, provider: Option<&str>, model: Option<&str>) -> Result<Choice, UnknownModel> {
        self.0.catalog.choose(provider, model)
    }

    /// The same of a name that has to be somebody's: the rules answer to their own alone.
    pub fn choose_named(&self, model: &str) -> Result<Choice, UnknownModel> {
        self.0.catalog.choose_named(model)
    }

    /// What can be chosen; a provider that takes any name shows its default. The rules are always among them.
    #[must_use]
    pub fn models(&self) -> Vec<ModelShown> {
        self.0.catalog.models()
    }

    /// Returns at the first piece of text, or at the end; until then failures move on to the next key or provider unseen.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        self.0.ask(&ask).await
    }

    /// Whose model that is, where it is one of those that are configured.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Option<&str> {
        let (provider, _) = model.split_once('/')?;
        self.0.catalog.provider(provider).map(|entry| entry.name.as_str())
    }

    /// What so many tokens cost, where a price is configured, in millionths of a US dollar.
    #[must_use]
    pub fn cost(&self, model: &str, prompt: u32, completion: u32) -> Option<u64> {
        self.0.prices.cost(model, prompt, completion)
    }
}
