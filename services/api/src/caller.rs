//! Who is asking: a signed-in user, or a program with a user's key.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;
use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::user::User;
use domain::values::{Role, Scope};
use domain::{Metadata, Timestamp};

use crate::app::App;
use crate::extract::Context;
use crate::problem::Problem;
use crate::tokens::NoToken;

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
    pub(crate) async fn admit(app: &App, parts: &Parts, scope: Scope, role: Option<Role>) -> Result<Self, Problem> {
        let Identity { user, session, key, key_ends, scopes } = identify(app, &parts.headers).await?;
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
        Ok(Self { user, session, scopes, key_ends, roles, metadata })
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

async fn of_key(app: &App, text: &str) -> Result<Identity, Problem> {
    if let Some(user) = app.bootstrap_key.as_ref().and_then(|key| key.user_of(text)) {
        let scopes = Scopes::Only(BTreeSet::from([Scope::ChatRead, Scope::ChatWrite, Scope::Account, Scope::Audit]));
        return Ok(Identity { user, session: None, key: None, key_ends: None, scopes });
    }
    let (id, key) = app.api_keys.find(app, text).await?.ok_or(Problem::BadToken)?;
    let (user, key_ends, scopes) = (key.user, key.expires_at, Scopes::Only(key.scopes));
    Ok(Identity { user, session: None, key: Some(id), key_ends, scopes })
}

async fn of_token(app: &App, token: &str) -> Result<Identity, Problem> {
    let now = app.clock().now();
    let bearer = match app.access_tokens.check(token, now) {
        Err(NoToken::UnknownKey) => {
            app.access_tokens.keys.look_again(now).await;
            app.access_tokens.check(token, now)
        }
        checked => checked,
    };
    let bearer = bearer.map_err(|_| Problem::BadToken)?;
    if app.revocations.has_ended(&bearer) {
        return Err(Problem::BadToken);
    }
    app.refresh_tokens.note_seen(bearer.session, bearer.generation, now).await;
    Ok(Identity { user: bearer.user, session: Some(bearer.session), key: None, key_ends: None, scopes: Scopes::All })
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
