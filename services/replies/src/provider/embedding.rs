//! The model that turns texts into vectors: asked with the same keys, retries and deadlines as those that answer.

use std::time::Duration;

use domain::chat::reply::Interruption;
use domain::values::{EmbeddingModel, Vector};
use moka::sync::Cache;
use tokio::time::{Instant, timeout_at};

use super::asking::Miss;
use super::attempt::{Attempt, Question};
use super::catalog::BadProviders;
use super::config::EmbeddingsConfig;
use super::entry::Entry;
use super::fault::Fault;
use super::known::Wire;
use super::vendor::{Given, Target};
use super::{Failure, Providers};

/// Who embeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingEntry {
    /// What its vectors are called: `provider/model`.
    pub full: EmbeddingModel,
    pub provider: String,
    pub model: String,
    /// How many numbers it is asked for.
    pub dimensions: Option<u32>,
}

/// Some texts that are to be embedded.
pub struct Texts<'a> {
    texts: &'a [String],
    dimensions: Option<u32>,
}

/// A vector for each text, all of the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    pub vectors: Vec<Vector>,
    /// How many numbers each has.
    pub dimension: u32,
    /// What the provider counted, for all of them.
    pub prompt_tokens: Option<u32>,
}

/// Why texts got no vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unembedded {
    /// The same texts would be refused again; others need not be.
    Refused(Failure),
    /// Another time they may be embedded.
    Failed(Failure),
}

/// The vectors of what was asked for lately, so that the next page of a search is not paid for again, and is near to the same.
pub struct Queries(Cache<String, Vector>);

/// How many are kept, and how long.
const QUERIES: u64 = 512;
const KEPT: Duration = Duration::from_mins(10);
/// How long somebody waits who searches.
const PATIENCE: Duration = Duration::from_secs(5);
const SETTING: &str = "COLLOQUY_EMBEDDINGS";

impl Default for Queries {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(QUERIES).time_to_live(KEPT).build())
    }
}

impl EmbeddingEntry {
    pub(super) fn of(named: &EmbeddingsConfig, entries: &[Entry]) -> Result<Self, BadProviders> {
        let bad = |problem: String| BadProviders { setting: SETTING, problem };
        let (provider, model) =
            named.model.split_once('/').ok_or_else(|| bad("must be like provider/model".to_owned()))?;
        let entry = Entry::named(entries, provider).ok_or_else(|| {
            let there: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            bad(format!("names a provider that is not configured; there is {there}"))
        })?;
        if entry.wire == Wire::Anthropic {
            return Err(bad(format!("names {}, which has no model that embeds", entry.name)));
        }
        let full = Some(entry.full(model)).filter(|_| entry.could_have(model));
        let full = full.and_then(|full| EmbeddingModel::try_from(full).ok());
        let full = full.ok_or_else(|| bad(format!("names what can't be a model of {}", entry.name)))?;
        Ok(Self { full, provider: entry.name.clone(), model: model.to_owned(), dimensions: named.dimensions })
    }

    /// What was given, where it is a vector for each of so many texts.
    fn checked(&self, texts: usize, given: Given) -> Result<Vectors, Unembedded> {
        let unfit = |what: String| {
            let detail = format!("{}: {what}", self.full.as_str());
            Unembedded::Failed(Failure::new(Interruption::ProviderFailed, detail))
        };
        if given.vectors.len() != texts {
            return Err(unfit(format!("{} vectors for {texts} texts", given.vectors.len())));
        }
        let vectors = given.vectors.iter().map(|numbers| Vector::new(numbers)).collect::<Result<Vec<_>, _>>();
        let vectors = vectors.map_err(|invalid| unfit(format!("a vector that can't be kept: it {invalid}")))?;
        let dimension = self.dimensions.or_else(|| vectors.first().map(Vector::dimension)).unwrap_or(0);
        match vectors.iter().map(Vector::dimension).find(|other| *other != dimension) {
            Some(other) => Err(unfit(format!("a vector of {other} numbers where {dimension} are expected"))),
            None => Ok(Vectors { vectors, dimension, prompt_tokens: given.prompt_tokens }),
        }
    }
}

impl Question for Texts<'_> {
    type Given = Given;

    async fn put(&self, attempt: &Attempt<'_, Self>, target: &Target<'_>) -> Result<Given, Fault> {
        let asked = attempt.inner.vendor.embed(target, self.texts, self.dimensions);
        let given = timeout_at(attempt.over_by, asked).await.map_err(|_| Fault::Slow)??;
        attempt.inner.breakers.succeeded(attempt.full);
        Ok(given)
    }
}

impl Unembedded {
    #[must_use]
    pub const fn failure(&self) -> &Failure {
        match self {
            Self::Refused(failure) | Self::Failed(failure) => failure,
        }
    }
}

impl From<Miss> for Unembedded {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Next(failure) => Self::Failed(failure),
            Miss::Final(failure) => Self::Refused(failure),
        }
    }
}

impl Providers {
    /// What a provider's vectors are called, where one embeds.
    #[must_use]
    pub fn embedding_model(&self) -> Option<&EmbeddingModel> {
        self.0.catalog.embedder.as_ref().map(|embedder| &embedder.full)
    }

    /// How many numbers these have, where that is configured.
    #[must_use]
    pub fn embedding_dimension(&self) -> Option<u32> {
        self.0.catalog.embedder.as_ref().and_then(|embedder| embedder.dimensions)
    }

    /// Vectors of what was said, in no more time than a first token may take.
    pub async fn embed(&self, texts: &[String]) -> Result<Vectors, Unembedded> {
        self.embed_by(texts, Instant::now() + self.0.limits.first_token).await
    }

    /// The vector of what somebody looks for.
    pub async fn embed_query(&self, text: &str) -> Result<Vector, Unembedded> {
        if let Some(vector) = self.0.queries.0.get(text) {
            return Ok(vector);
        }
        let over_by = Instant::now() + PATIENCE.min(self.0.limits.first_token);
        let Vectors { mut vectors, .. } = self.embed_by(&[text.to_owned()], over_by).await?;
        let nothing = || Unembedded::Failed(Failure::new(Interruption::ProviderFailed, "no vector"));
        let vector = vectors.pop().ok_or_else(nothing)?;
        self.0.queries.0.insert(text.to_owned(), vector.clone());
        Ok(vector)
    }

    async fn embed_by(&self, texts: &[String], over_by: Instant) -> Result<Vectors, Unembedded> {
        let embedder = self.0.catalog.embedder.as_ref();
        let nobody = || Unembedded::Failed(Failure::new(Interruption::ProviderRefused, "no model embeds"));
        let embedder = embedder.ok_or_else(nobody)?;
        let given = self.0.embed(&Texts { texts, dimensions: embedder.dimensions }, over_by).await?;
        embedder.checked(texts.len(), given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog::Catalog;
    use crate::{ProviderConfig, ProvidersConfig};

    fn embedder(model: &str, dimensions: Option<u32>) -> Result<Option<EmbeddingEntry>, BadProviders> {
        let provider = |name: &str| ProviderConfig {
            name: name.to_owned(),
            keys: Vec::new(),
            base_url: "http://host/v1/".parse().ok(),
            models: vec!["chat".to_owned()],
        };
        let providers = ["openai", "anthropic", "mine"].map(provider).to_vec();
        let embeddings = Some(EmbeddingsConfig { model: model.to_owned(), dimensions });
        Catalog::of(&ProvidersConfig { providers, embeddings, ..ProvidersConfig::default() }).map(|it| it.embedder)
    }

    fn checked(texts: usize, vectors: Vec<Vec<f32>>, dimensions: Option<u32>) -> Result<u32, String> {
        let embedder = embedder("mine/embed", dimensions).unwrap().unwrap();
        let checked = embedder.checked(texts, Given { vectors, prompt_tokens: None });
        checked.map(|it| it.dimension).map_err(|it| it.failure().detail.clone())
    }

    #[test]
    fn its_name_is_a_providers_and_it_need_not_be_listed() {
        for (name, full) in [
            ("openai/text-embedding-3-small", "openai/text-embedding-3-small"),
            ("OpenAI/text-embedding-3-small", "openai/text-embedding-3-small"),
            ("mine/BAAI/bge-m3", "mine/BAAI/bge-m3"),
        ] {
            assert_eq!(embedder(name, None).unwrap().unwrap().full.as_str(), full);
        }
    }

    #[test]
    fn what_can_not_embed_is_refused_and_not_repeated() {
        let long = format!("mine/{}", "x".repeat(96));
        for name in
            ["", "sk-secret", "sk-secret/model", "anthropic/m", "openai/sk-secret/m", "mine/a b", "mine/", &long]
        {
            let bad = embedder(name, None).unwrap_err();
            assert_eq!(bad.setting, SETTING, "{name}");
            assert!(!bad.problem.contains("secret"), "{}", bad.problem);
        }
        let bad = embedder("groq/embed", None).unwrap_err();
        assert_eq!(bad.problem, "names a provider that is not configured; there is openai, anthropic, mine");
    }

    #[test]
    fn there_is_one_vector_for_each_text_and_all_are_of_one_length() {
        assert_eq!(checked(2, vec![vec![1.0, 0.0], vec![0.5, -1.0]], None), Ok(2));
        assert_eq!(checked(1, vec![vec![1.0, 0.0]], Some(2)), Ok(2));
        for (texts, vectors, dimensions) in [
            (2, vec![vec![1.0]], None),
            (0, vec![vec![1.0]], None),
            (2, vec![vec![1.0], vec![1.0, 2.0]], None),
            (1, vec![vec![1.0]], Some(2)),
            (1, vec![vec![0.0, 0.0]], None),
            (1, vec![vec![]], None),
            (1, vec![vec![0.5; 2_001]], None),
        ] {
            let detail = checked(texts, vectors, dimensions).unwrap_err();
            assert!(detail.starts_with("mine/embed: "), "{detail}");
        }
    }
}
