//! `request ─▶ the windows it counts in ─▶ admitted, or when to come again`: one answer of all nodes.
//!
//! What asks for a reply counts for the service and for its user, if it comes into the log; every request counts for its
//! address. Windows that were lost are made again of what the log shows to have been admitted. Where the windows can't be
//! reached, each node admits a part of what is allowed by itself.

mod admission;
mod blocks;
mod budgets;
mod local;
mod purse;
mod rates;
mod samples;
mod shown;
mod windows;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::ids::UserId;
use domain::limit::{Rate, Unit};
use domain::token::notice::LimitKind;
use projections::ReadModels;
use projections::rate_limit::{self, Subject};
use store::limits::{Limits, States};
use store::{Log, ReadModel, StoreError};

use crate::client_address::network;
pub(crate) use admission::Charge;
use blocks::Blocks;
pub use budgets::Budgets;
pub(crate) use budgets::{Asker, Asks, Reserved};
use local::Local;
pub(crate) use purse::{BudgetShown, Exceeded};
pub use rates::Rates;
pub(crate) use samples::Sample;
use samples::Samples;
pub(crate) use shown::{Shown, go_on, owe, owed, show, tell};
use windows::{Counted, Seeds, keys, since, standings, windows};
pub(crate) use windows::{Refused, Standing};

/// Who may come now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RateLimits(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    limits: Limits,
    rates: Rates,
    log: Log,
    /// The read model of what was admitted.
    admitted: ReadModel,
    /// The read model of what was spent.
    usage: ReadModel,
    blocks: Blocks,
    local: Local,
    samples: Samples,
}

impl RateLimits {
    #[must_use]
    pub fn new(limits: Limits, rates: Rates, log: Log, read_models: &ReadModels) -> Self {
        let (blocks, local, samples) = (Blocks::default(), Local::default(), Samples::default());
        let (admitted, usage) = (read_models.rate_limit.clone(), read_models.usage.clone());
        Self(Arc::new(Parts { limits, rates, log, admitted, usage, blocks, local, samples }))
    }

    /// As all nodes have it.
    fn now(&self) -> Timestamp {
        self.0.limits.now()
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// Admits what asks for a reply: the address, where that was put off, then the service, then the user.
    pub(crate) async fn admit_turn(
        &self,
        user: UserId,
        rate: Option<Rate>,
        address: Option<String>,
    ) -> Result<Charge, Refused> {
        let address = address.and_then(|ip| self.of_address(&ip));
        self.admit(address.into_iter().chain(self.of_turn(user, rate)).collect()).await
    }

    /// Admits a request, whatever it is for.
    pub(crate) async fn admit_request(&self, ip: &str) -> Result<(), Refused> {
        self.admit(self.of_address(ip).into_iter().collect()).await.map(|_: Charge| ())
    }

    /// How the windows of somebody's turns stand now.
    pub(crate) async fn standings(&self, user: UserId, rate: Option<Rate>) -> Result<Vec<Standing>, StoreError> {
        let counted = self.of_turn(user, rate);
        let keys = keys(&counted);
        let look = async |seeds: Option<&Seeds>| {
            let tell = |states: &mut States<'_>| {
                let now = states.now();
                let mut windows = windows(states, &counted, seeds)?;
                for (it, window) in counted.iter().zip(&mut windows) {
                    window.merge(&self.0.local.is_untold(&it.key), it.rate);
                }
                Some(standings(&counted, &windows, now))
            };
            self.0.limits.look(&keys, tell).await
        };
        let standings = match look(None).await? {
            Some(standings) => standings,
            None => look(Some(&self.seeds(&counted).await?)).await?.unwrap_or_default(),
        };
        Ok(self.without_left(&counted, standings))
    }

    /// Whether a refusal is to be noted in the log.
    pub(crate) fn sample(&self, refused: &Refused) -> Option<Sample> {
        self.0.samples.take(refused.limit.kind, &refused.key, refused.limit.rate, refused.at)
    }

    /// The same for an attempt to sign in or to register.
    pub(crate) fn sample_attempt(&self, kind: LimitKind, ip: &str) -> Option<Sample> {
        self.0.samples.take(kind, &format!("{kind} from {}", network(ip)), A_MINUTE, self.now())
    }

    /// It could not be noted, or was by another node: the next sample tells of it.
    pub(crate) fn put_back(&self, sample: Sample) {
        self.0.samples.put_back(sample);
    }

    /// Whether this node decides by itself, as the windows can't be reached.
    pub(crate) fn are_local(&self) -> bool {
        self.0.local.is_needed()
    }

    fn of_address(&self, ip: &str) -> Option<Counted> {
        let (kind, key) = (LimitKind::Address, format!("requests from {}", network(ip)));
        self.0.rates.address.map(|rate| Counted { kind, key, rate, subject: None })
    }

    fn of_turn(&self, user: UserId, rate: Option<Rate>) -> Vec<Counted> {
        let service = self.0.rates.service.map(|rate| Counted {
            kind: LimitKind::Service,
            key: "turns".to_owned(),
            rate,
            subject: Some(Subject::Service),
        });
        let user = rate.map(|rate| Counted {
            kind: LimitKind::User,
            key: format!("turns of {user}"),
            rate,
            subject: Some(Subject::User(user)),
        });
        service.into_iter().chain(user).collect()
    }

    /// What the log shows; whatever stands in it by now.
    async fn seeds(&self, counted: &[Counted]) -> Result<Seeds, StoreError> {
        let Parts { log, admitted, .. } = &*self.0;
        if !admitted.wait_for(log.head().await?, PATIENCE).await? {
            tracing::warn!("windows are made again of what is known of them: the read model rate_limit lags behind");
        }
        let mut seeds = Vec::with_capacity(counted.len());
        for it in counted {
            let since = since(self.now(), it.rate);
            seeds.push(match it.subject {
                Some(subject) => rate_limit::admitted(admitted.db(), subject, since).await?,
                None => Vec::new(),
            });
        }
        Ok(seeds)
    }
}

/// How long a window of those who try passwords is.
const A_MINUTE: Rate = Rate { most: NonZeroU32::MIN, unit: Unit::Minute };
/// How long what was lost is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
