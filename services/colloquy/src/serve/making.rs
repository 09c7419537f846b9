//! Whom replies and vectors are asked of, and who asks.

use replies::{Embedder, Live, Providers, Replier};
use store::{Clock, Executor};
use tokio_util::sync::CancellationToken;

use super::Services;
use crate::config::{Config, Role};
use crate::wiring::Failure;

/// How many replies a process makes at once.
const REPLIES_AT_ONCE: usize = 10_000;

/// Whom replies are asked of, and where they are seen to grow.
pub(super) struct Replies {
    pub(super) providers: Providers,
    pub(super) live: Live,
}

impl Services {
    /// Whom replies are asked of, and where they are seen to grow.
    pub(super) async fn watch_replies(&self, config: &Config) -> Result<Replies, Failure> {
        let (providers, live) = (Providers::new(config.providers.clone())?, Live::new(self.bus.clone()));
        if config.roles.include(Role::Api) || config.roles.include(Role::Reply) {
            let (watching, log, stop) = (live.clone(), self.log.clone(), self.stop.clone());
            let from = log.head().await?;
            self.spawn("replies", async move { watching.run(log, from, stop).await });
        }
        Ok(Replies { providers, live })
    }

    pub(super) fn make_replies(
        &self,
        config: &Config,
        replies: &Replies,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let maker = Replier::new(replies::Parts {
            log: self.log.clone(),
            bus: self.bus.clone(),
            executor: Executor::new(self.log.clone(), Clock::System),
            history: self.read_models.history.clone(),
            providers: replies.providers.clone(),
            live: replies.live.clone(),
            context: config.context.clone(),
            titles: config.titles,
            node: config.node.clone(),
            at_once: REPLIES_AT_ONCE,
        });
        async move { maker.run(stop).await }
    }

    pub(super) fn embed_messages(
        &self,
        config: &Config,
        replies: &Replies,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let embedder = Embedder {
            log: self.log.clone(),
            bus: self.bus.clone(),
            executor: Executor::new(self.log.clone(), Clock::System),
            embeddings: self.read_models.embeddings.clone(),
            providers: replies.providers.clone(),
            node: config.node.clone(),
        };
        async move { embedder.run(stop).await }
    }
}
