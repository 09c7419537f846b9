//! Who is asking: a signed-in user, or a program with a user's key.

use std::collections::BTreeSet;

use axum::extract::Query;
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;
use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::user::User;
use domain::values::{Role, Scope};
use domain::{Metadata, Timestamp};
use serde::{Deserialize, Serialize};

use crate::api_keys::{BootstrapKey, FoundKey};
use crate::app::App;
use crate::extract::Context;
use crate::problem::Problem;
use crate::tickets;
use crate::tokens::{Bearer, GoodToken, NoToken, PresentedKey};

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    /// The sign-in; none for a program.
    pub(crate) session: Option<TokenId>,
    pub(crate) scopes: Scopes,
    /// When the key that was shown ends.
    pub(crate) key_ends: Option<Timestamp>,
    /// As the account stands now; looked up only where roles matter.
    roles: BTreeSet<Role>,
    pub(crate) metadata: Metadata,
    proof: Proof,
}

/// What was shown, as far as it can be taken back, or ends. A ticket is kept as this: no secret is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Proof {
    Token {
        bearer: Bearer,
        ends: Timestamp,
    },
    Key {
        shown: PresentedKey,
        epoch: u32,
    },
    /// Good as long as this process runs.
    Bootstrap,
}

/// Where somebody may show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownIn {
    Headers,
    /// The same, and a key may come as a bearer.
    KeyAsBearer,
    /// In the address, too: a browser that opens a socket can send no header of its own.
    Address,
}

/// What somebody may do with the proof that they have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scopes {
    All,
    Only(BTreeSet<Scope>),
}

impl Scopes {
    pub(crate) fn include(&self, scope: Scope) -> bool {
        match self {
            Self::All => true,
            Self::Only(scopes) => scopes.contains(&scope),
        }
    }

    pub(crate) fn include_all(&self, scopes: &BTreeSet<Scope>) -> bool {
        scopes.iter().all(|scope| self.include(*scope))
    }
}

/// Who was proven to ask, and by what.
pub(crate) struct Identity {
    pub(crate) user: UserId,
    session: Option<TokenId>,
    key: Option<ApiKeyId>,
    key_ends: Option<Timestamp>,
    scopes: Scopes,
    proof: Proof,
}

impl Identity {
    /// Whether it was a sign-in, and no key for programs.
    pub(crate) const fn is_person(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn metadata(&self, context: Context) -> Metadata {
        context.by(self.user, self.session, self.key)
    }
}

impl Caller {
    pub(crate) async fn admit(
        app: &App,
        parts: &Parts,
        shown_in: ShownIn,
        scope: Scope,
        role: Option<Role>,
    ) -> Result<Self, Problem> {
        let identity = match shown_in {
            ShownIn::Headers => identify(app, &parts.headers).await?,
            ShownIn::KeyAsBearer => identify_by_bearer(app, &parts.headers).await?,
            ShownIn::Address => identify_by_address(app, parts).await?,
        };
        let Identity { user, session, key, key_ends, scopes, proof } = identity;
        if !scopes.include(scope) {
            return Err(Problem::Forbidden);
        }
        let roles = match scope {
            Scope::Audit | Scope::Admin => roles(app, user).await?,
            Scope::ChatRead | Scope::ChatWrite | Scope::Account | Scope::Keys => BTreeSet::new(),
        };
        if role.is_some_and(|role| !has(&roles, role)) {
            return Err(Problem::Forbidden);
        }
        let metadata = Context::of(parts, app).by(user, session, key);
        Ok(Self { user, session, scopes, key_ends, roles, metadata, proof })
    }

    /// Whether what was shown was not taken back since. Who was let in may go on though it expires meanwhile.
    pub(crate) fn is_still_in(&self, app: &App) -> bool {
        match &self.proof {
            Proof::Token { bearer, .. } => !app.revocations.has_ended(bearer),
            Proof::Key { shown, epoch } => !app.revocations.has_ended_key(shown.id, self.user, *epoch),
            Proof::Bootstrap => true,
        }
    }

    /// Whether what was shown would be good if it were shown now.
    pub(crate) async fn would_be_let_in(&self, app: &App) -> Result<bool, Problem> {
        match of_proof(app, self.proof.clone()).await {
            Ok(_) => Ok(true),
            Err(Problem::BadToken) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    pub(crate) const fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether they may do what administrators do; for routes that are everybody's.
    pub(crate) async fn administers(&self, app: &App) -> Result<bool, Problem> {
        Ok(self.scopes.include(Scope::Admin) && has(&roles(app, self.user).await?, Role::Admin))
    }

    /// What they are trusted with now.
    pub(crate) async fn roles_now(&self, app: &App) -> Result<BTreeSet<Role>, Problem> {
        roles(app, self.user).await
    }

    /// Whether they may read what is not their own.
    pub(crate) fn is_auditor(&self) -> bool {
        has(&self.roles, Role::Auditor)
    }
}

/// An administrator may do what an auditor may.
fn has(roles: &BTreeSet<Role>, role: Role) -> bool {
    roles.contains(&role) || roles.contains(&Role::Admin)
}

async fn roles(app: &App, user: UserId) -> Result<BTreeSet<Role>, Problem> {
    let user = app.executor.look::<User>(user).await?;
    Ok(user.active().map(|account| account.roles.clone()).unwrap_or_default())
}

/// Looks at the proof that came with a request: a key, or else an access token.
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Identity, Problem> {
    if let Some(key) = headers.get("x-api-key") {
        return of_key(app, key.to_str().map_err(|_| Problem::BadToken)?).await;
    }
    of_token(app, bearer_token(headers).ok_or(Problem::NotAuthenticated)?).await
}

/// The same, where a bearer may be a key as well.
async fn identify_by_bearer(app: &App, headers: &HeaderMap) -> Result<Identity, Problem> {
    let bearer = bearer_token(headers).filter(|_| !headers.contains_key("x-api-key"));
    let is_key =
        |text: &&str| app.bootstrap_key.as_ref().is_some_and(|key| key.is(text)) || PresentedKey::parse(text).is_some();
    match bearer.filter(is_key) {
        Some(key) => of_key(app, key).await,
        None => identify(app, headers).await,
    }
}

/// What may be shown in an address: keys may not.
#[derive(Deserialize)]
struct Shown {
    ticket: Option<String>,
    token: Option<String>,
}

/// The same, or a ticket or an access token in the address.
async fn identify_by_address(app: &App, parts: &Parts) -> Result<Identity, Problem> {
    let headers = &parts.headers;
    if headers.contains_key("x-api-key") || headers.contains_key(header::AUTHORIZATION) {
        return identify(app, headers).await;
    }
    let Query(Shown { ticket, token }) = Query::try_from_uri(&parts.uri).map_err(|_| Problem::BadToken)?;
    match (ticket, token) {
        (Some(ticket), None) => of_proof(app, tickets::redeem(app, &ticket).await?).await,
        (None, Some(token)) => of_token(app, &token).await,
        (Some(_), Some(_)) => Err(Problem::BadToken),
        (None, None) => Err(Problem::NotAuthenticated),
    }
}

async fn of_key(app: &App, text: &str) -> Result<Identity, Problem> {
    if app.bootstrap_key.as_ref().is_some_and(|key| key.is(text)) {
        return of_proof(app, Proof::Bootstrap).await;
    }
    let shown = PresentedKey::parse(text).ok_or(Problem::BadToken)?;
    of_proof(app, Proof::Key { shown, epoch: 0 }).await
}

async fn of_token(app: &App, token: &str) -> Result<Identity, Problem> {
    let now = app.clock().now();
    let good = match app.access_tokens.check(token, now) {
        Err(NoToken::UnknownKey) => {
            app.access_tokens.keys.look_again(now).await;
            app.access_tokens.check(token, now)
        }
        checked => checked,
    };
    let GoodToken { bearer, ends } = good.map_err(|_| Problem::BadToken)?;
    let identity = of_proof(app, Proof::Token { bearer, ends }).await?;
    app.refresh_tokens.note_seen(bearer.session, bearer.generation, now).await;
    Ok(identity)
}

/// Whom a proof speaks for, if it is good now. What it was when it was first shown does not matter.
async fn of_proof(app: &App, proof: Proof) -> Result<Identity, Problem> {
    match proof {
        Proof::Token { bearer, ends } if app.clock().now() < ends && !app.revocations.has_ended(&bearer) => {
            let (user, session) = (bearer.user, Some(bearer.session));
            Ok(Identity { user, session, key: None, key_ends: None, scopes: Scopes::All, proof })
        }
        Proof::Token { .. } => Err(Problem::BadToken),
        Proof::Key { shown, .. } => {
            let FoundKey { id, key, epoch } = app.api_keys.find(app, shown).await?.ok_or(Problem::BadToken)?;
            let (user, key_ends, scopes) = (key.user, key.expires_at, Scopes::Only(key.scopes));
            Ok(Identity { user, session: None, key: Some(id), key_ends, scopes, proof: Proof::Key { shown, epoch } })
        }
        Proof::Bootstrap if app.bootstrap_key.is_none() => Err(Problem::BadToken),
        Proof::Bootstrap => {
            let user = BootstrapKey::user();
            let scopes = BTreeSet::from([Scope::ChatRead, Scope::ChatWrite, Scope::Account, Scope::Audit]);
            let scopes = Scopes::Only(scopes);
            Ok(Identity { user, session: None, key: None, key_ends: None, scopes, proof })
        }
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
