//! The route of a reply: the model that was asked for, then those that stand in for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::chat::reply::Interruption;
use tokio::time::Instant;

use super::answer::Answer;
use super::attempt::Attempt;
use super::breaker::Breakers;
use super::catalog::{BadProviders, Catalog};
use super::config::ProvidersConfig;
use super::embedding::{EmbeddingEntry, Queries, Texts};
use super::keys::KeyPool;
use super::vendor::{Given, Vendor};
use super::{Ask, Failure, Fallbacks, Limits, Prices};

/// What all replies share.
pub struct Inner {
    pub catalog: Catalog,
    pub prices: Prices,
    pub limits: Limits,
    pub breakers: Breakers,
    pub vendor: Vendor,
    pub queries: Queries,
    fallbacks: Fallbacks,
    pools: BTreeMap<String, KeyPool>,
}

/// Why a model gave no answer.
pub enum Miss {
    /// Another may.
    Next(Failure),
    /// Every other would refuse it as well.
    Final(Failure),
}

impl Inner {
    pub fn new(config: ProvidersConfig) -> Result<Self, BadProviders> {
        let catalog = Catalog::of(&config)?;
        let needs_certificates = catalog.entries().iter().any(|entry| entry.base_url.is_secure());
        let vendor = Vendor::new(needs_certificates, catalog.embedder.is_some())?;
        let pools = config.providers.into_iter().map(|provider| (provider.name, KeyPool::new(provider.keys))).collect();
        let ProvidersConfig { fallbacks, prices, limits, .. } = config;
        let (breakers, queries) = (Breakers::default(), Queries::default());
        Ok(Self { catalog, prices, limits, breakers, vendor, queries, fallbacks, pools })
    }

    pub async fn ask(self: &Arc<Self>, ask: &Ask) -> Result<Answer, Failure> {
        let over_by = Instant::now() + self.limits.total;
        let mut failures = Vec::new();
        let route: Vec<_> = std::iter::once(ask.model.as_str()).chain(self.fallbacks.after(&ask.model)).collect();
        for (before, full) in route.iter().enumerate() {
            let is_last = before + 1 == route.len();
            match self.ask_model(ask, full, is_last, over_by).await {
                Ok(answer) => return Ok(answer),
                Err(Miss::Final(failure)) => return Err(failure),
                Err(Miss::Next(failure)) => failures.push(failure),
            }
        }
        Err(Failure::of_all(failures))
    }

    async fn ask_model(
        self: &Arc<Self>,
        ask: &Ask,
        full: &str,
        is_last: bool,
        over_by: Instant,
    ) -> Result<Answer, Miss> {
        let found =
            self.catalog.find(full).and_then(|(entry, model)| Some((entry, model, self.pools.get(&entry.name)?)));
        let (entry, model, pool) = found.ok_or_else(|| not_configured(full))?;
        let first_token_by = over_by.min(Instant::now() + self.limits.first_token);
        Attempt { inner: self, question: ask, full, entry, model, pool, is_last, first_token_by, over_by }
            .answer()
            .await
    }

    /// Asks the model that embeds; no other model's vectors could stand in for its own.
    pub async fn embed(self: &Arc<Self>, texts: &Texts<'_>, over_by: Instant) -> Result<Given, Miss> {
        let Some(embedder) = &self.catalog.embedder else { return Err(not_configured("no model that embeds")) };
        let EmbeddingEntry { full, provider, model, .. } = embedder;
        let found = self.catalog.provider(provider).and_then(|entry| Some((entry, self.pools.get(&entry.name)?)));
        let (entry, pool) = found.ok_or_else(|| not_configured(full.as_str()))?;
        let (full, is_last) = (full.as_str(), true);
        Attempt { inner: self, question: texts, full, entry, model, pool, is_last, first_token_by: over_by, over_by }
            .answer()
            .await
    }
}

fn not_configured(full: &str) -> Miss {
    Miss::Next(Failure::new(Interruption::ProviderRefused, format!("{full}: not configured here")))
}
