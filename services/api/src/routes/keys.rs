//! `/api/v1/keys`: keys with which programs act in their user's name.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::Timestamp;
use domain::ids::ApiKeyId;
use domain::token::api_key::NewKey;
use domain::values::{KeyName, Scope};
use projections::token_activity::{self, Key};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::fresh_id;

use super::positioned::{Done, MinPosition, NoContent, Secret, Seen};
use crate::app::App;
use crate::caller::Caller;
use crate::commands::{CreateKey, KeyChange, RequestKey, RevokeKey, RotateKey};
use crate::extract::{Body, IdempotencyKey};
use crate::problem::{Fields, Problem, ReplyProblem, SessionProblem};
use crate::time::Time;
use crate::tokens::KeySecret;

#[derive(Deserialize)]
pub(super) struct KeyRequest {
    name: String,
    scopes: Option<Vec<String>>,
    expires_in_days: Option<u32>,
}

/// What a key may do that was not said to do anything: what the chat itself needs.
const USUAL: [Scope; 2] = [Scope::ChatRead, Scope::ChatWrite];
const LONGEST_DAYS: u32 = 3_650;
const DAY: i64 = 86_400;

#[derive(Serialize)]
pub(super) struct Created {
    id: ApiKeyId,
    name: String,
    /// Kept nowhere: shown to who asks for it.
    key: String,
    scopes: Vec<Scope>,
    expires_at: Option<Time>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    again: IdempotencyKey,
    Body(request): Body<KeyRequest>,
) -> Result<(StatusCode, Secret<Done<Created>>), Problem> {
    let (name, scopes) = request.parse(&caller)?;
    let lifetime_seconds = request.expires_in_days.map(|days| i64::from(days) * DAY);
    let id = again.0.as_ref().map_or_else(fresh_id, |again| RequestKey::of(caller.user, again).id("api key"));
    // Another request under the same name has another secret.
    let words = again.0.map(|again| json!([again, id, name.as_str(), scopes, lifetime_seconds]).to_string());
    let (may_exist, secret) = (words.is_some(), app.api_keys.secret(words.as_deref())?);
    let command = CreateKey {
        id,
        user: caller.user,
        name,
        digest: secret.digest(),
        scopes,
        lifetime_seconds,
        at_most: caller.key_ends,
        may_exist,
    };
    let done = app.executor.execute(&command, caller.metadata).await?;
    app.own_writes.note(caller.user, done.position);
    Ok((StatusCode::CREATED, Secret(Done(done.position, Created::of(id, done.output, &secret)))))
}

impl KeyRequest {
    fn parse(&self, caller: &Caller) -> Result<(KeyName, BTreeSet<Scope>), Problem> {
        let mut fields = Fields::default();
        let name = fields.take("name", KeyName::try_from(self.name.clone()));
        let scopes = self.scopes.as_ref().map(|scopes| scopes.iter().map(|scope| scope.parse::<Scope>()).collect());
        let scopes = fields.take("scopes", scopes.unwrap_or_else(|| Ok(BTreeSet::from(USUAL))));
        let (Some(name), Some(scopes)) = (name, scopes) else { return Err(fields.into_problem()) };
        if self.expires_in_days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
            return Err(Problem::invalid("expires_in_days", "must be from 1 to 3650"));
        }
        if scopes.is_empty() {
            return Err(Problem::invalid("scopes", "must not be empty"));
        }
        // No key makes a mightier one.
        if !caller.scopes.include_all(&scopes) {
            return Err(Problem::Forbidden);
        }
        Ok((name, scopes))
    }
}

impl Created {
    fn of(id: ApiKeyId, key: NewKey, secret: &KeySecret) -> Self {
        let (scopes, expires_at) = (key.scopes.into_iter().collect(), key.expires_at.map(Time));
        Self { id, name: key.name.into(), key: secret.of(id), scopes, expires_at }
    }
}

#[derive(Serialize)]
pub(super) struct ShownKey {
    id: ApiKeyId,
    name: String,
    scopes: Vec<String>,
    created_at: Time,
    expires_at: Option<Time>,
    rotated_at: Option<Time>,
    revoked_at: Option<Time>,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
) -> Result<Seen<Vec<ShownKey>>, Problem> {
    let model = &app.read_models.token_activity;
    let lag = least.await_in(&app, model, caller.user).await?;
    let keys = token_activity::keys_of(model.db(), caller.user).await?;
    Ok(Seen(lag, keys.into_iter().map(ShownKey::from).collect()))
}

impl From<Key> for ShownKey {
    fn from(key: Key) -> Self {
        let time = |at: Option<Timestamp>| at.map(Time);
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes.split(' ').map(str::to_owned).collect(),
            created_at: Time(key.created_at),
            expires_at: time(key.expires_at),
            rotated_at: time(key.rotated_at),
            revoked_at: time(key.revoked_at),
        }
    }
}

#[derive(Deserialize, Default)]
pub(super) struct RotateRequest {
    /// For how long the old secret is good beside the new one.
    overlap_seconds: Option<u32>,
}

const USUAL_OVERLAP: u32 = 3_600;
const LONGEST_OVERLAP: u32 = 7 * 86_400;

#[derive(Serialize)]
pub(super) struct Rotated {
    #[serde(flatten)]
    key: Created,
    old_secret_until: Time,
}

pub(super) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    again: IdempotencyKey,
    request: Option<Body<RotateRequest>>,
) -> Result<Secret<Done<Rotated>>, Problem> {
    let id: ApiKeyId = id.parse().map_err(|_| Problem::NoSuchKey)?;
    let overlap_seconds = request.and_then(|Body(request)| request.overlap_seconds).unwrap_or(USUAL_OVERLAP);
    if overlap_seconds > LONGEST_OVERLAP {
        return Err(Problem::invalid("overlap_seconds", "must be from 0 to 604800"));
    }
    let words = again.0.map(|again| json!([again, id, "rotated"]).to_string());
    let secret = app.api_keys.secret(words.as_deref())?;
    let command = RotateKey {
        id,
        by: caller.user,
        digest: secret.digest(),
        overlap_seconds,
        within: caller.scopes,
        at_most: caller.key_ends,
    };
    let done = app.executor.execute(&command, caller.metadata).await?;
    app.api_keys.forget(id);
    app.own_writes.note(caller.user, done.position);
    let (key, old_until) = done.output;
    let rotated = Rotated { key: Created::of(id, key, &secret), old_secret_until: Time(old_until) };
    Ok(Secret(Done(done.position, rotated)))
}

pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    let id: ApiKeyId = id.parse().map_err(|_| Problem::NoSuchKey)?;
    let done = app.executor.execute(&RevokeKey { id, by: caller.user }, caller.metadata).await?;
    app.revocations.end_key(id, app.clock().now());
    app.own_writes.note(caller.user, done.position);
    Ok(NoContent(done.position))
}

impl From<KeyChange> for Problem {
    fn from(error: KeyChange) -> Self {
        use domain::token::api_key::ApiKeyError;
        match error {
            KeyChange::Mightier => Self::Forbidden,
            KeyChange::Key(ApiKeyError::NotFound) => Self::NoSuchKey,
            KeyChange::Key(ApiKeyError::AlreadyCreated) => ReplyProblem::KeyReused.into(),
            KeyChange::Key(ApiKeyError::Replaced) => SessionProblem::Gone.into(),
            KeyChange::Store(error) => Self::Store(error),
        }
    }
}
