//! `token_activity`: the audit log of accounts, sign-ins, tokens and keys: who, what, when, from where.

mod apply;
mod describe;
mod fold;
mod kind;
mod lists;
mod query;
mod span;
mod statement;
mod write;

use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::{Event, Timestamp};
use store::read_model::{Spec, Tables};
use store::{Position, StoreError, Tx};
use uuid::Uuid;

use crate::{Change, Projection};
pub use kind::{Kind, Outcome};
pub use lists::{keys_of, sign_ins_of};
pub use query::{Filter, Page, newest, oldest};

/// The read model of what tokens did.
#[derive(Debug)]
pub struct TokenActivity;

impl Projection for TokenActivity {
    const SPEC: Spec = Spec {
        name: "token_activity",
        tables: Tables::Same(include_str!("../../migrations/token_activity/tables.sql")),
    };

    fn concerns(event: &Event) -> bool {
        matches!(event, Event::User(..) | Event::Token(..) | Event::ApiKey(..) | Event::Notice(..))
    }

    async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
        apply::apply(tx, changes).await
    }
}

/// One row of the audit log. There is no secret in it, and nothing that was made of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub position: Position,
    pub at: Timestamp,
    pub kind: Kind,
    /// Whom it is about, where that is known.
    pub user: Option<UserId>,
    /// What they are called today: by their user name, else their email, else the name that they show.
    pub username: Option<String>,
    /// The sign-in or the key that it is about.
    pub token: Option<Uuid>,
    /// Who did it.
    pub actor: Option<UserId>,
    pub actor_session: Option<TokenId>,
    pub actor_key: Option<ApiKeyId>,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: String,
    pub node: Option<String>,
}

/// One sign-in on one device, where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub id: TokenId,
    pub user: UserId,
    pub started_at: Timestamp,
    /// When it began, or was last refreshed.
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
}

/// A key for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: ApiKeyId,
    pub user: UserId,
    pub name: String,
    /// With a space between them.
    pub scopes: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub rotated_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}
