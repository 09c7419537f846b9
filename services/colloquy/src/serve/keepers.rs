//! What knows of tokens, of limits and of files, and what keeps it so.

use api::{AccessTokens, ApiKeys, Files, Followers, RateLimits, RefreshTokens, Revocations, SigningKeys, Throttle};
use store::limits::Limits;
use store::{Clock, Executor, Successors};

use super::Services;
use crate::config::{Config, Role};
use crate::wiring::{self, Failure};

/// What a process knows of tokens and limits.
pub(super) struct Keepers {
    pub(super) access_tokens: AccessTokens,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) revocations: Revocations,
    pub(super) api_keys: ApiKeys,
    pub(super) limits: RateLimits,
    pub(super) throttle: Throttle,
}

impl Services {
    /// What is known of tokens, and what keeps it so.
    pub(super) async fn keep_tokens(&self, config: &Config) -> Result<Keepers, Failure> {
        let (clock, accounts, api_keys) = (Clock::System, &config.accounts, ApiKeys::new(config.secret.clone()));
        let db = self.log.db().clone();
        let keys = SigningKeys::open(db.clone(), config.secret.clone(), accounts.algorithm, clock.now()).await?;
        let successors = Successors::new(db);
        let refresh_tokens =
            RefreshTokens::new(successors, config.secret.clone(), accounts.lifetime, accounts.leeway_seconds);
        let (revocations, from) = Revocations::begin(&self.log, clock.now()).await?;
        if config.roles.include(Role::Api) {
            let (following, bus, log) = (revocations.clone(), self.bus.clone(), self.log.clone());
            let stop = self.stop.clone();
            let followers = Followers { signing_keys: keys.clone(), api_keys: api_keys.clone(), clock: Clock::System };
            self.spawn("revocations", async move { following.run(log, bus, from, followers, stop).await });
            let (sweeping, stop) = (refresh_tokens.clone(), self.stop.clone());
            self.spawn("successors", async move { sweeping.run(Clock::System, stop).await });
            let (signing, stop) = (keys.clone(), self.stop.clone());
            let executor = Executor::new(self.log.clone(), Clock::System);
            self.spawn("signing keys", async move { signing.run(executor, stop).await });
        }
        let access_tokens = AccessTokens::new(keys, accounts.access_token_seconds);
        let (limits, throttle) = self.keep_limits(config).await?;
        Ok(Keepers { access_tokens, refresh_tokens, revocations, api_keys, limits, throttle })
    }

    async fn keep_limits(&self, config: &Config) -> Result<(RateLimits, Throttle), Failure> {
        let windows = Limits::open(self.log.db(), Clock::System).await?;
        let throttle = Throttle::new(windows.clone(), config.limits.sign_in, config.secret.as_bytes());
        let (rates, log) = (config.limits.rates.clone(), self.log.clone());
        let limits = RateLimits::new(windows, rates, log, &self.read_models);
        Ok((limits, throttle))
    }

    /// Where attachments are, and what clears away those of what is gone.
    pub(super) fn keep_files(&self, config: &Config) -> Result<Files, Failure> {
        let files = wiring::open_files(config)?;
        if config.roles.include(Role::Api) {
            let (log, history, stop) = (self.log.clone(), self.read_models.history.clone(), self.stop.clone());
            self.spawn("files", files.clone().run(log, history, stop));
        }
        Ok(files)
    }
}
