//! Keys that programs show: looked up once, then remembered for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::ids::{ApiKeyId, UserId};
use domain::token::ApiKey;
use domain::token::api_key::NewKey;
use domain::user::User;
use uuid::Uuid;

use crate::app::App;
use crate::problem::Problem;
use crate::tokens::{KeySecret, PresentedKey, SecretKey, digest_of};

/// Remembers keys that were looked up. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    secret: SecretKey,
    known: moka::sync::Cache<ApiKeyId, Arc<Known>>,
    /// How often a key has changed: what was looked up meanwhile is not kept.
    changes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Known {
    key: ApiKey,
    /// The epoch of its user's account: when it has grown, the account may be disabled.
    epoch: u32,
}

/// A key that is good now.
pub(crate) struct FoundKey {
    pub(crate) id: ApiKeyId,
    pub(crate) key: NewKey,
    /// The epoch of its user's account.
    pub(crate) epoch: u32,
}

const KEYS: u64 = 10_000;
/// A change that this node never hears of is seen after so long.
const KEPT: Duration = Duration::from_secs(30);

impl ApiKeys {
    #[must_use]
    pub fn new(secret: SecretKey) -> Self {
        let known = moka::sync::Cache::builder().max_capacity(KEYS).time_to_live(KEPT).build();
        Self { secret, known, changes: Arc::default() }
    }

    /// A secret for a key: one that nobody has had, or that of a request that may be sent again.
    pub(crate) fn secret(&self, request: Option<&str>) -> Result<KeySecret, Problem> {
        let secret = request.map_or_else(KeySecret::fresh, |request| KeySecret::of_request(&self.secret, request));
        secret.ok_or(Problem::Internal("there is no secret to be had"))
    }

    /// The key of which somebody shows id and secret, if it is good now.
    pub(crate) async fn find(&self, app: &App, shown: PresentedKey) -> Result<Option<FoundKey>, Problem> {
        let PresentedKey { id, digest } = shown;
        let now = app.clock().now();
        let good = |known: &Known| {
            let key = known.key.with_secret(digest, now)?;
            let found = || FoundKey { id, key: key.clone(), epoch: known.epoch };
            (!app.revocations.has_ended_key(id, key.user, known.epoch)).then(found)
        };
        if let Some(found) = self.known.get(&id).and_then(|known| good(&known)) {
            return Ok(Some(found));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let Some(known) = look_up(app, id).await?.map(Arc::new) else { return Ok(None) };
        if changes == self.changes.load(Ordering::SeqCst) {
            self.known.insert(id, known.clone());
        }
        Ok(good(&known))
    }

    /// A key has changed.
    pub(crate) fn forget(&self, id: ApiKeyId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate(&id);
    }
}

/// A key of a user who may sign in, as the database has it.
async fn look_up(app: &App, id: ApiKeyId) -> Result<Option<Known>, Problem> {
    let key = app.executor.look::<ApiKey>(id).await?;
    let Some(user) = key.active().map(|key| key.user) else { return Ok(None) };
    let user = app.executor.look::<User>(user).await?;
    Ok(user.active().map(|account| Known { key, epoch: account.epoch }))
}

/// The key that is set when the service is set up, and the user that it is.
#[derive(Clone)]
pub struct BootstrapKey(domain::values::Digest);

impl std::fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootstrapKey")
    }
}

impl BootstrapKey {
    /// A constant of the log's format: whatever the key is, it is the same user.
    const USER: Uuid = Uuid::from_u128(0x6f0d_9c5e_4b7a_5c0f_9d53_2a1b_7e60_0b00);

    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(digest_of(text))
    }

    /// Whether it is this key. Digests are compared, so that the time says nothing about it.
    pub(crate) fn is(&self, text: &str) -> bool {
        digest_of(text.trim()) == self.0
    }

    pub(crate) fn user() -> UserId {
        Self::USER.into()
    }
}
