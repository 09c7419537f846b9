//! What a batch of events comes to, before it is written.

use std::collections::BTreeMap;

use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::token::api_key::{ApiKeyEvent, NewKey};
use domain::token::family::{Origin, RevokeReason, TokenEvent};
use domain::user::{Profile, UserEvent};
use domain::{Event, Metadata, Timestamp};

use super::Activity;
use crate::Change;

/// A batch's news, keyed so that the same log always writes the same rows.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) activity: Vec<Activity>,
    pub(super) users: BTreeMap<UserId, Profile>,
    pub(super) issued: Vec<Issued>,
    /// When each was last used, and when it ends now.
    pub(super) rotated: BTreeMap<TokenId, (Timestamp, Timestamp)>,
    pub(super) moved: BTreeMap<TokenId, Origin>,
    pub(super) revoked: BTreeMap<TokenId, (Timestamp, RevokeReason)>,
    pub(super) keys: Vec<(ApiKeyId, NewKey, Timestamp, i64)>,
    pub(super) keys_rotated: BTreeMap<ApiKeyId, Timestamp>,
    pub(super) keys_revoked: BTreeMap<ApiKeyId, Timestamp>,
}

#[derive(Debug)]
pub(super) struct Issued {
    pub(super) id: TokenId,
    pub(super) user: UserId,
    pub(super) at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) ip: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) position: i64,
}

impl Fold {
    /// What the lists learn of it; the audit log's own row is not made here.
    pub(super) fn take(&mut self, change: &Change, metadata: &Metadata) {
        match &change.event {
            Event::User(id, event) => self.user(*id, event),
            Event::Token(id, event) => self.token(change, metadata, *id, event),
            Event::ApiKey(id, event) => self.api_key(change, *id, event),
            Event::Notice(..)
            | Event::Claim(..)
            | Event::Conversation(..)
            | Event::Message(..)
            | Event::Attachment(..) => {}
        }
    }

    fn user(&mut self, id: UserId, event: &UserEvent) {
        match event {
            UserEvent::UserRegistered(who) => {
                let (username, email, name) = (who.username.clone(), who.email.clone(), who.name.clone());
                self.users.insert(id, Profile { username, email, name });
            }
            UserEvent::ProfileChanged(profile) => {
                self.users.insert(id, profile.clone());
            }
            UserEvent::PasswordChanged { .. }
            | UserEvent::PasswordRehashed { .. }
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. }
            | UserEvent::UserDisabled {}
            | UserEvent::UserEnabled {}
            | UserEvent::SignInsEnded { .. } => {}
        }
    }

    fn token(&mut self, change: &Change, metadata: &Metadata, id: TokenId, event: &TokenEvent) {
        match event {
            TokenEvent::TokenIssued { user, expires_at, refresh, from, epoch: _ } => self.issued.push(Issued {
                id,
                user: *user,
                at: change.at,
                expires_at: refresh.map_or(*expires_at, |refresh| refresh.idle_until.min(*expires_at)),
                ip: known(&from.ip).map(str::to_owned).or_else(|| metadata.ip.clone()),
                user_agent: known(&from.user_agent).map(str::to_owned).or_else(|| metadata.user_agent.clone()),
                position: change.position.get(),
            }),
            TokenEvent::TokenRotated { refresh, at, user: _, number: _ } => {
                self.rotated.insert(id, (*at, refresh.idle_until));
            }
            TokenEvent::TokenAnomalyNoticed { from, .. } => {
                self.moved.insert(id, from.clone());
            }
            TokenEvent::TokenRevoked { reason, user: _ } => {
                self.revoked.entry(id).or_insert((change.at, *reason));
            }
            TokenEvent::TokenReuseDetected { .. } | TokenEvent::TokenRefused { .. } => {}
        }
    }

    fn api_key(&mut self, change: &Change, id: ApiKeyId, event: &ApiKeyEvent) {
        match event {
            ApiKeyEvent::ApiKeyCreated(key) => self.keys.push((id, key.clone(), change.at, change.position.get())),
            ApiKeyEvent::ApiKeyRotated { .. } => {
                self.keys_rotated.insert(id, change.at);
            }
            ApiKeyEvent::ApiKeyRevoked { .. } => {
                self.keys_revoked.entry(id).or_insert(change.at);
            }
        }
    }
}

/// From where, if that was said: the first version of a sign-in's event does not, and not every program has a name.
pub(super) fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
