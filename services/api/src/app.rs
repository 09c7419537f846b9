//! What every handler has: the executor for commands, the read models for queries, the keepers of secrets.

use std::sync::Arc;

use domain::Metadata;
use domain::ids::UserId;
use domain::values::PasswordPolicy;
use nats::Bus;
use projections::ReadModels;
use projector::State;
use store::{Clock, Executor, Log};
use tokio::sync::watch;

use crate::api_keys::{ApiKeys, BootstrapKey};
use crate::client_address::TrustedProxies;
use crate::commands::Standing;
use crate::own_writes::OwnWrites;
use crate::passwords::Passwords;
use crate::problem::Problem;
use crate::throttle::{Admission, Throttle, Ticket};
use crate::tokens::{AccessTokens, RefreshTokens, Revocations};
use crate::unknown_tokens::UnknownTokens;

/// The one state of all handlers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct Parts {
    pub log: Log,
    pub bus: Bus,
    pub executor: Executor,
    pub read_models: ReadModels,
    /// How the projections of this node fare; none where it runs no projector.
    pub projections: Vec<(&'static str, watch::Receiver<State>)>,
    pub access_tokens: AccessTokens,
    pub refresh_tokens: RefreshTokens,
    pub revocations: Revocations,
    pub api_keys: ApiKeys,
    pub bootstrap_key: Option<BootstrapKey>,
    pub passwords: Passwords,
    pub password_policy: NewPasswords,
    pub throttle: Throttle,
    pub unknown_tokens: UnknownTokens,
    pub trusted_proxies: TrustedProxies,
    /// How this process calls itself in the log.
    pub node: String,
    pub own_writes: OwnWrites,
}

/// What new passwords must be like (`AUTH_PASSWORD_POLICY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewPasswords {
    /// As the services were that this one replaces.
    Compat,
    Nist,
}

impl NewPasswords {
    /// When somebody registers at the canonical API.
    #[must_use]
    pub const fn at_registration(self) -> PasswordPolicy {
        match self {
            Self::Compat => PasswordPolicy::Mixed,
            Self::Nist => PasswordPolicy::Long,
        }
    }

    /// When it is changed, or set by an operator.
    #[must_use]
    pub const fn at_change(self) -> PasswordPolicy {
        match self {
            Self::Compat => PasswordPolicy::Plain,
            Self::Nist => PasswordPolicy::Long,
        }
    }
}

impl App {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.0.executor.clock()
    }

    /// What this node knows at once of sign-ins that have ended; the others hear of it by the feed.
    pub(crate) async fn end_all(&self, user: UserId, left: &Standing) {
        self.revocations.end_all(user, left.epoch, left.kept, self.clock().now());
        self.refresh_tokens.forget_all(user, left.kept).await;
    }

    /// Lets somebody try a password, unless too many were tried from there, or under that name.
    pub(crate) async fn admit_guess(&self, metadata: &Metadata, name: &str) -> Result<Ticket, Problem> {
        match self.throttle.admit(metadata.ip.as_deref(), name, self.clock().now()).await? {
            Admission::Admitted(ticket) => Ok(ticket),
            Admission::Refused { retry_after_seconds } => Err(Problem::TooManySignIns(retry_after_seconds)),
        }
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
