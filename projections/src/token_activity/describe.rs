//! What an event says in the audit log.

use domain::Event;
use domain::ids::UserId;
use domain::token::api_key::{ApiKeyEvent, NewKey};
use domain::token::family::{Origin, TokenEvent};
use domain::token::notice::NoticeEvent;
use domain::user::UserEvent;
use uuid::Uuid;

use super::Kind;

/// The part of a row that comes from the event itself; the rest is where and by whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) kind: Kind,
    pub(super) user: Option<UserId>,
    pub(super) token: Option<Uuid>,
    pub(super) reason: Option<String>,
}

impl Description {
    const fn of(kind: Kind, user: Option<UserId>) -> Self {
        Self { kind, user, token: None, reason: None }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn about(self, token: impl Into<Uuid>) -> Self {
        Self { token: Some(token.into()), ..self }
    }
}

/// `None` for what is not of the audit log: names that are claimed, what is said, and what models were asked for.
pub(super) fn describe(event: &Event) -> Option<Description> {
    match event {
        Event::User(id, event) => Some(user(*id, event)),
        Event::Token(id, event) => Some(token(event).about(*id)),
        Event::ApiKey(id, event) => Some(api_key(event).about(*id)),
        Event::Notice(_, event) => notice(event),
        Event::Claim(..) | Event::Conversation(..) | Event::Message(..) | Event::Attachment(..) => None,
    }
}

fn user(id: UserId, event: &UserEvent) -> Description {
    let what = |kind| Description::of(kind, Some(id));
    match event {
        UserEvent::UserRegistered(_) => what(Kind::Registered),
        UserEvent::ProfileChanged(_) => what(Kind::ProfileChanged),
        UserEvent::PasswordChanged { .. } => what(Kind::PasswordChanged),
        UserEvent::PasswordRehashed { .. } => what(Kind::PasswordRehashed),
        UserEvent::RoleGranted { role } => what(Kind::RoleGranted).because(role.as_str()),
        UserEvent::RoleRevoked { role } => what(Kind::RoleRevoked).because(role.as_str()),
        UserEvent::UserDisabled {} => what(Kind::UserDisabled),
        UserEvent::UserEnabled {} => what(Kind::UserEnabled),
        UserEvent::SignInsEnded { reason, .. } => what(Kind::SignInsEnded).because(reason.as_str()),
    }
}

fn token(event: &TokenEvent) -> Description {
    let what = |kind, user: &UserId| Description::of(kind, Some(*user));
    match event {
        TokenEvent::TokenIssued { user, .. } => what(Kind::SignIn, user),
        TokenEvent::TokenRotated { user, .. } => what(Kind::TokenRotated, user),
        TokenEvent::TokenAnomalyNoticed { user, from, was } => {
            what(Kind::TokenAnomaly, user).because(difference(from, was))
        }
        TokenEvent::TokenReuseDetected { user } => what(Kind::TokenReused, user),
        TokenEvent::TokenRefused { user, reason } => what(Kind::TokenRefused, user).because(reason.as_str()),
        TokenEvent::TokenRevoked { user, reason } => what(Kind::TokenRevoked, user).because(reason.as_str()),
    }
}

fn difference(from: &Origin, was: &Origin) -> String {
    let address = (from.ip != was.ip).then_some("address");
    let user_agent = (from.user_agent != was.user_agent).then_some("user_agent");
    address.into_iter().chain(user_agent).collect::<Vec<_>>().join(", ")
}

fn api_key(event: &ApiKeyEvent) -> Description {
    let what = |kind, user: &UserId| Description::of(kind, Some(*user));
    match event {
        ApiKeyEvent::ApiKeyCreated(key) => {
            what(Kind::KeyCreated, &key.user).because(format!("{}: {}", key.name.as_str(), scopes(key)))
        }
        ApiKeyEvent::ApiKeyRotated { user, .. } => what(Kind::KeyRotated, user),
        ApiKeyEvent::ApiKeyRevoked { user } => what(Kind::KeyRevoked, user),
    }
}

pub(super) fn scopes(key: &NewKey) -> String {
    key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

fn notice(event: &NoticeEvent) -> Option<Description> {
    Some(match event {
        // The identifier is a digest of what was typed: it stays in the log.
        NoticeEvent::SignInFailed { user, reason, identifier: _ } => {
            Description::of(Kind::SignInFailed, *user).because(reason.as_str())
        }
        NoticeEvent::UnknownTokenPresented { well_formed } => {
            let form = if *well_formed { "well_formed" } else { "malformed" };
            Description::of(Kind::UnknownToken, None).because(form)
        }
        NoticeEvent::AuditRead { of, export, by: _ } => {
            Description::of(Kind::AuditRead, *of).because(if *export { "export" } else { "page" })
        }
        NoticeEvent::DataExported { by, conversation } => {
            let what = conversation.map_or_else(|| "everything".to_owned(), |id| format!("session {id}"));
            Description::of(Kind::DataExported, Some(*by)).because(what)
        }
        NoticeEvent::SigningKeyRotated { kid } => Description::of(Kind::SigningKeyRotated, None).because(kid.as_str()),
        NoticeEvent::LimitReached { limit, user, refused: _ } => {
            Description::of(Kind::LimitReached, *user).because(limit.as_str())
        }
        NoticeEvent::TextsEmbedded { .. } => return None,
    })
}
