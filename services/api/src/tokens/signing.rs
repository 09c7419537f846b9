//! The keys that sign access tokens: the secret itself (HS256), or generated ones that rotate (Ed25519).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::token::notice::NoticeEvent;
use domain::{Metadata, Timestamp};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use store::{Db, Executor, SealedKey, StoreError, fresh_id, in_full};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::secret::{SecretKey, sha256};
use crate::commands::Note;

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    EdDsa,
}

#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("no key could be made")]
    Generate,
    #[error(
        "the signing keys in the database were sealed with another SECRET_KEY; colloquy key rotate makes a new one"
    )]
    OtherSecret,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All keys that are good now. Cheap to clone.
#[derive(Clone)]
pub struct SigningKeys(Arc<Inner>);

struct Inner {
    db: Db,
    secret: SecretKey,
    algorithm: Algorithm,
    ring: RwLock<Arc<Ring>>,
    reloaded: Mutex<Instant>,
}

struct Ring {
    kid: String,
    signing: EncodingKey,
    checking: HashMap<String, Arc<DecodingKey>>,
    /// Public keys alone.
    jwks: Value,
    newest: Timestamp,
}

const PURPOSE: &str = "colloquy signing key";
/// How long a key signs before it is replaced by itself.
const SIGNS_SECONDS: i64 = 30 * 86_400;
/// How long after its replacement a key still checks: longer than any access token lives.
const CHECKS_SECONDS: i64 = 2 * 86_400;
const LOOK: Duration = Duration::from_mins(1);
/// How often a token of an unknown key makes this node look into the database.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("algorithm", &self.0.algorithm).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// The keys of a database; the first node to come makes one.
    pub async fn open(db: Db, secret: SecretKey, algorithm: Algorithm, now: Timestamp) -> Result<Self, SigningError> {
        let ring = match algorithm {
            Algorithm::Hs256 => Ring::of_secret(&secret),
            Algorithm::EdDsa => ring(&db, &secret, now).await?,
        };
        let (ring, reloaded) = (RwLock::new(Arc::new(ring)), Mutex::new(Instant::now()));
        Ok(Self(Arc::new(Inner { db, secret, algorithm, ring, reloaded })))
    }

    /// Makes a new key and keeps it; whoever reads the keys again signs with it. The newest signs, whatever the clock of
    /// who made the one before.
    pub async fn rotate(db: &Db, secret: &SecretKey, now: Timestamp) -> Result<Uuid, SigningError> {
        let newest = store::signing_keys(db).await?.first().map_or(i64::MIN, |key| key.made_at);
        let made_at = now.as_micros().max(newest.saturating_add(1));
        let pair = Ed25519KeyPair::generate().map_err(|_| SigningError::Generate)?;
        let private = pair.to_pkcs8v1().map_err(|_| SigningError::Generate)?;
        let kid: Uuid = fresh_id();
        let public = pair.public_key().as_ref().to_vec();
        let sealed = secret.seal(PURPOSE, b"", kid.as_bytes(), private.as_ref()).ok_or(SigningError::Generate)?;
        store::add_signing_key(db, &SealedKey { kid, public, sealed, made_at }).await?;
        Ok(kid)
    }

    pub(super) fn algorithm(&self) -> jsonwebtoken::Algorithm {
        match self.0.algorithm {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    pub(super) fn sign<C: serde::Serialize>(&self, mut header: jsonwebtoken::Header, claims: &C) -> Option<String> {
        let ring = self.ring();
        header.kid = Some(ring.kid.clone());
        jsonwebtoken::encode(&header, claims, &ring.signing).ok()
    }

    pub(super) fn checking(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.ring().checking.get(kid).cloned()
    }

    /// The public keys, for whoever wants to check our tokens.
    pub(crate) fn jwks(&self) -> Value {
        self.ring().jwks.clone()
    }

    /// Reads the keys again, as somebody has come with a key that this node does not know.
    pub(crate) async fn look_again(&self, now: Timestamp) {
        let mut reloaded = self.0.reloaded.lock().await;
        if reloaded.elapsed() >= LOOK_AGAIN {
            *reloaded = Instant::now();
            self.reload(now).await;
        }
    }

    /// Reads the keys again and again, and replaces one that has signed long enough, until told to stop.
    pub async fn run(&self, executor: Executor, shutdown: CancellationToken) {
        let look = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Err(error) = self.look(&executor).await {
                    tracing::warn!(cause = in_full(&error), "the signing keys could not be looked after");
                }
            }
        };
        shutdown.run_until_cancelled(look).await;
    }

    pub(super) async fn look(&self, executor: &Executor) -> Result<(), SigningError> {
        let now = executor.clock().now();
        self.reload(now).await;
        if self.0.algorithm == Algorithm::EdDsa && now >= self.ring().newest.plus_seconds(SIGNS_SECONDS) {
            let kid = Self::rotate(&self.0.db, &self.0.secret, now).await?.to_string();
            let metadata = Metadata { request_id: fresh_id::<Uuid>().to_string(), ..Metadata::default() };
            executor.execute(&Note(NoticeEvent::SigningKeyRotated { kid }), metadata).await?;
            store::drop_signing_keys(&self.0.db, now.plus_seconds(-CHECKS_SECONDS)).await?;
            self.reload(now).await;
        }
        Ok(())
    }

    pub(super) async fn reload(&self, now: Timestamp) {
        if self.0.algorithm == Algorithm::Hs256 {
            return;
        }
        match ring(&self.0.db, &self.0.secret, now).await {
            Ok(ring) => *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring),
            Err(error) => tracing::warn!(cause = in_full(&error), "the signing keys could not be read again"),
        }
    }

    fn ring(&self) -> Arc<Ring> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The keys in the database; the first is made here.
async fn ring(db: &Db, secret: &SecretKey, now: Timestamp) -> Result<Ring, SigningError> {
    let keys = store::signing_keys(db).await?;
    if let Some(ring) = Ring::of_keys(&keys, secret, now)? {
        return Ok(ring);
    }
    SigningKeys::rotate(db, secret, now).await?;
    Ring::of_keys(&store::signing_keys(db).await?, secret, now)?.ok_or(SigningError::Generate)
}

impl Ring {
    fn of_secret(secret: &SecretKey) -> Self {
        let digest = String::from(sha256(&[b"colloquy kid ", secret.as_bytes()].concat()));
        let kid: String = digest.chars().take(16).collect();
        let checking = Arc::new(DecodingKey::from_secret(secret.as_bytes()));
        Self {
            kid: kid.clone(),
            signing: EncodingKey::from_secret(secret.as_bytes()),
            checking: HashMap::from([(kid, checking)]),
            jwks: json!({"keys": []}),
            newest: Timestamp::default(),
        }
    }

    /// The newest key signs; one that was replaced still checks for a while.
    fn of_keys(keys: &[SealedKey], secret: &SecretKey, now: Timestamp) -> Result<Option<Self>, SigningError> {
        let since = now.plus_seconds(-CHECKS_SECONDS).as_micros();
        let replaced = keys.iter().zip(keys.iter().skip(1)).take_while(|(newer, _)| newer.made_at >= since).count();
        let keys = keys.get(..=replaced).unwrap_or_default();
        let Some(newest) = keys.first() else { return Ok(None) };
        let private =
            secret.open(PURPOSE, b"", newest.kid.as_bytes(), &newest.sealed).ok_or(SigningError::OtherSecret)?;
        let checking = keys.iter().map(|key| (key.kid.to_string(), Arc::new(DecodingKey::from_ed_der(&key.public))));
        Ok(Some(Self {
            kid: newest.kid.to_string(),
            signing: EncodingKey::from_ed_der(&private),
            checking: checking.collect(),
            jwks: json!({"keys": keys.iter().map(jwk).collect::<Vec<_>>()}),
            newest: Timestamp::from_micros(newest.made_at),
        }))
    }
}

fn jwk(key: &SealedKey) -> Value {
    let x = URL_SAFE_NO_PAD.encode(&key.public);
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": x})
}
