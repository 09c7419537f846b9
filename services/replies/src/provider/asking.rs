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
use super::keys::KeyPool;
use super::vendor::Vendor;
use super::{Ask, Failure, Fallbacks, Limits, Prices};

/// What all replies share.
pub struct Inner {
    pub catalog: Catalog,
    pub prices: Prices,
    pub limits: Limits,
    pub breakers: Breakers,
    pub vendor: Vendor,
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
        let vendor = Vendor::new(catalog.entries().iter().any(|entry| entry.base_url.is_secure()))?;
        let pools = config.providers.into_iter().map(|provider| (provider.name, KeyPool::new(provider.keys))).collect();
        let ProvidersConfig { fallbacks, prices, limits, .. } = config;
        Ok(Self { catalog, prices, limits, breakers: Breakers::default(), fallbacks, pools, vendor })
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
        let Some((entry, model, pool)) = found else {
            let detail = format!("{full}: not configured here");
            return Err(Miss::Next(Failure::new(Interruption::ProviderRefused, detail)));
        };
        let first_token_by = over_by.min(Instant::now() + self.limits.first_token);
        Attempt { inner: self, ask, full, entry, model, pool, is_last, first_token_by, over_by }.answer().await
    }
}
