//! `request ─▶ the windows it counts in ─▶ admitted, or when to come again`: one answer of all nodes.
//!
//! What asks for a reply counts for the service and for its user, if it comes into the log; every request counts for its
//! address. Windows that were lost are made again of what the log shows to have been admitted. Where the windows can't be
//! reached, each node admits a part of what is allowed by itself.

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
use domain::limit::{Rate, Unit, Window};
use domain::token::notice::LimitKind;
use projections::ReadModels;
use projections::rate_limit::{self, Subject};
use store::limits::{Limits, States};
use store::{Clock, Log, ReadModel, StoreError};

use crate::client_address::network;
pub use budgets::Budgets;
pub(crate) use budgets::{Asker, Asks};
use local::Local;
pub(crate) use purse::{BudgetShown, Exceeded};
pub use rates::Rates;
pub(crate) use samples::Sample;
use samples::Samples;
pub(crate) use shown::{Shown, owe, owed, show};
use windows::{Counted, Said, Seeds, decide, keys, since, standings, windows};
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
    clock: Clock,
    local: Local,
    samples: Samples,
}

/// A request that was admitted, where it counts.
#[derive(Debug)]
pub(crate) struct Charge {
    counted: Vec<Counted>,
    at: Timestamp,
}

impl RateLimits {
    #[must_use]
    pub fn new(limits: Limits, rates: Rates, log: Log, read_models: &ReadModels, clock: Clock) -> Self {
        let (local, samples) = (Local::default(), Samples::default());
        let (admitted, usage) = (read_models.rate_limit.clone(), read_models.usage.clone());
        Self(Arc::new(Parts { limits, rates, log, admitted, usage, clock, local, samples }))
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// Admits what asks for a reply: the address, where that was put off, then the service, then the user.
    pub(crate) async fn admit_turn(&self, user: UserId, rate: Option<Rate>) -> Result<Charge, Refused> {
        let address = owed().and_then(|ip| self.of_address(&ip));
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
                let windows = windows(states, &counted, seeds)?;
                Some(standings(&counted, &windows, now))
            };
            self.0.limits.look(&keys, tell).await
        };
        if let Some(standings) = look(None).await? {
            return Ok(standings);
        }
        let seeds = self.seeds(&counted).await?;
        Ok(look(Some(&seeds)).await?.unwrap_or_default())
    }

    /// What came to nothing counts nowhere but for its address.
    pub(crate) async fn withdraw(&self, charge: Charge) {
        let Charge { mut counted, at } = charge;
        counted.retain(|it| it.kind != LimitKind::Address);
        if counted.is_empty() {
            return;
        }
        let keys = keys(&counted);
        let withdraw = move |states: &mut States<'_>| {
            for (place, it) in counted.iter().enumerate() {
                // What is lost is made again by who needs it.
                if !states.is_there(place) {
                    continue;
                }
                let mut window: Window = states.get(place);
                window.withdraw(at, it.rate);
                let end = window.expires_at(it.rate);
                states.keep(place, window, end);
            }
        };
        if let Err(error) = self.0.limits.decide(keys, withdraw).await {
            tracing::warn!(cause = store::in_full(&error), "what came to nothing counts all the same");
        }
    }

    /// Whether a refusal is to be noted in the log.
    pub(crate) fn sample(&self, refused: &Refused) -> Option<Sample> {
        self.0.samples.take(refused.limit.kind, &refused.key, refused.limit.rate, refused.at)
    }

    /// The same for an attempt to sign in or to register.
    pub(crate) fn sample_attempt(&self, kind: LimitKind, ip: &str) -> Option<Sample> {
        self.0.samples.take(kind, &format!("{kind} from {}", network(ip)), A_MINUTE, self.0.clock.now())
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

    async fn admit(&self, counted: Vec<Counted>) -> Result<Charge, Refused> {
        if counted.is_empty() {
            return Ok(Charge { counted, at: self.0.clock.now() });
        }
        let said = match self.decide(&counted).await {
            Ok(said) => {
                self.0.local.is_not_needed();
                said
            }
            Err(error) => {
                tracing::debug!(cause = store::in_full(&error), "a limit is decided by this node alone");
                self.0.local.decide(&counted, self.0.clock.now())
            }
        };
        match said {
            Said::Admitted(at, standings) => {
                shown::tell(standings);
                Ok(Charge { counted, at })
            }
            Said::Refused(refused, standings) => {
                shown::tell(standings);
                Err(refused)
            }
            Said::Lost => Ok(Charge { counted: Vec::new(), at: self.0.clock.now() }),
        }
    }

    async fn decide(&self, counted: &[Counted]) -> Result<Said, StoreError> {
        let ask = |seeds: Option<Seeds>| {
            let all = counted.to_vec();
            self.0.limits.decide(keys(counted), move |states| decide(states, &all, seeds.as_ref()))
        };
        match ask(None).await? {
            Said::Lost => ask(Some(self.seeds(counted).await?)).await,
            said @ (Said::Admitted(..) | Said::Refused(..)) => Ok(said),
        }
    }

    /// What the log shows; whatever stands in it by now.
    async fn seeds(&self, counted: &[Counted]) -> Result<Seeds, StoreError> {
        let Parts { log, admitted, clock, .. } = &*self.0;
        if !admitted.wait_for(log.head().await?, PATIENCE).await? {
            tracing::warn!("windows are made again of what is known of them: the read model rate_limit lags behind");
        }
        let mut seeds = Vec::with_capacity(counted.len());
        for it in counted {
            let since = since(clock.now(), it.rate);
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
