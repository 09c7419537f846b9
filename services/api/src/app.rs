//! What every handler has: the executor for commands, the read models for queries, the keepers of secrets.

use std::sync::Arc;

use domain::Metadata;
use domain::ids::{TokenId, UserId};
use domain::limit::Rate;
use domain::token::notice::{LimitKind, NoticeEvent};
use domain::values::PasswordPolicy;
use nats::Bus;
use projections::ReadModels;
use projector::State;
use replies::{Context, Live, Providers};
use store::{Clock, Executor, Log};
use tokio::sync::watch;
use tracing::Instrument;

use crate::api_keys::{ApiKeys, BootstrapKey};
use crate::caller::Caller;
use crate::client_address::TrustedProxies;
use crate::commands::{NoteOnce, Standing};
use crate::files::Files;
use crate::imports::Imports;
use crate::limits::{Exceeded, RateLimits, Refused, Sample};
use crate::metrics::{self, Metrics};
use crate::origins::Origins;
use crate::own_writes::OwnWrites;
use crate::passwords::Passwords;
use crate::problem::{LimitProblem, Problem};
use crate::throttle::{Admission, Guess, Throttle, Ticket};
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
    pub limits: RateLimits,
    pub unknown_tokens: UnknownTokens,
    pub trusted_proxies: TrustedProxies,
    /// Of which other sites the pages may use this.
    pub origins: Origins,
    /// How this process calls itself in the log.
    pub node: String,
    pub own_writes: OwnWrites,
    pub providers: Providers,
    /// What models are told.
    pub context: Context,
    pub live: Live,
    pub files: Files,
    pub imports: Imports,
    pub metrics: Metrics,
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

    /// What this node knows at once of a sign-in that has ended; the others hear of it by the feed.
    pub(crate) async fn end_sign_in(&self, id: TokenId) {
        self.revocations.end_sign_in(id, self.clock().now());
        self.refresh_tokens.forget(id).await;
    }

    /// The same of all sign-ins that were begun before an account came to stand so.
    pub(crate) async fn end_all(&self, user: UserId, left: &Standing) {
        self.revocations.end_all(user, left.epoch, left.kept, self.clock().now());
        self.refresh_tokens.forget_older(user, left.epoch, left.kept).await;
    }

    /// Lets somebody register, unless too many wait, or too many came from there.
    pub(crate) async fn admit_registration(&self, metadata: &Metadata) -> Result<(), Problem> {
        self.passwords.have_room()?;
        let admitted = self.throttle.admit_registration(metadata.ip.as_deref(), self.throttle.now()).await;
        let admitted = admitted.map_err(LimitProblem::Away)?;
        Ok(admitted.map_err(|retry_after| {
            self.note_attempt(LimitKind::Registration, metadata);
            let most = self.throttle.rate().map_or(0, Rate::most);
            LimitProblem::TooManySignIns { retry_after, most, used: most }
        })?)
    }

    /// Lets somebody try a password, unless too many wait, or too many were tried from there, or under that name.
    pub(crate) async fn admit_guess(
        &self,
        metadata: &Metadata,
        guess: impl Into<Guess<'_>>,
    ) -> Result<Ticket, Problem> {
        self.passwords.have_room()?;
        let admission = self.throttle.admit(metadata.ip.as_deref(), guess, self.throttle.now()).await;
        match admission.map_err(LimitProblem::Away)? {
            Admission::Admitted(ticket) => Ok(ticket),
            Admission::Refused { retry_after_seconds: retry_after, most, used } => {
                self.note_attempt(LimitKind::SignIn, metadata);
                Err(LimitProblem::TooManySignIns { retry_after, most, used }.into())
            }
        }
    }
}

/// What limits admit, and what they refuse.
impl App {
    /// How often somebody may ask for a reply.
    pub(crate) async fn rate_of(&self, caller: &Caller) -> Result<Option<Rate>, Problem> {
        let rates = self.limits.rates();
        if rates.of_role.is_empty() { Ok(rates.user) } else { Ok(rates.of(&caller.roles_now(self).await?)) }
    }

    /// Lets a request in, whatever it is for.
    pub(crate) async fn admit_request(&self, metadata: &Metadata) -> Result<(), Problem> {
        let Some(ip) = metadata.ip.as_deref() else { return Ok(()) };
        let admitted = self.limits.admit_request(ip).await;
        admitted.map_err(|refused| self.refuse(refused, metadata))
    }

    pub(crate) fn refuse(&self, refused: Refused, metadata: &Metadata) -> Problem {
        metrics::limited(refused.limit.kind, false);
        self.note_sample(self.limits.sample(&refused), metadata);
        LimitProblem::Reached(refused).into()
    }

    pub(crate) fn refuse_spending(&self, exceeded: Exceeded, metadata: &Metadata) -> Problem {
        metrics::limited(LimitKind::Budget, false);
        self.note_sample(self.limits.sample_budget(&exceeded), metadata);
        LimitProblem::OverBudget(exceeded).into()
    }

    fn note_attempt(&self, kind: LimitKind, metadata: &Metadata) {
        let sample = metadata.ip.as_deref().and_then(|ip| self.limits.sample_attempt(kind, ip));
        self.note_sample(sample, metadata);
    }

    /// The log hears of it beside the answer, for which nobody waits.
    fn note_sample(&self, sample: Option<Sample>, metadata: &Metadata) {
        let Some(sample) = sample else { return };
        let (app, metadata) = (self.clone(), metadata.clone());
        let noting = async move {
            let Sample { id, kind, refused, .. } = sample;
            let what = NoticeEvent::LimitReached { limit: kind, user: metadata.user, refused };
            match app.executor.execute(&NoteOnce(id, what), metadata).await {
                Ok(done) if done.output => {}
                // Another node was first.
                Ok(_) => app.limits.put_back(sample),
                Err(error) => {
                    tracing::debug!(cause = store::in_full(&error), "a refusal is noted later");
                    app.limits.put_back(sample);
                }
            }
        };
        tokio::spawn(noting.in_current_span());
    }
}

/// What a guess at a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guessed {
    Right,
    Wrong,
    /// It was never compared.
    Nothing,
}

impl App {
    /// Counts a guess as what it was. Whoever was right is not told otherwise because this could not be written down.
    pub(crate) async fn settle_guess(&self, ticket: Ticket, guess: Guessed) {
        let now = self.throttle.now();
        let settled = match guess {
            Guessed::Right => self.throttle.succeeded(ticket, now).await,
            Guessed::Wrong => Ok(()),
            Guessed::Nothing => self.throttle.withdraw(ticket).await,
        };
        if let Err(error) = settled {
            tracing::warn!(cause = store::in_full(&error), "a guess still counts as wrong");
        }
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
