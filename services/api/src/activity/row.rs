//! A row of the audit log as clients and operators read it.

use domain::Timestamp;
use domain::ids::{ApiKeyId, TokenId, UserId};
use projections::token_activity::Activity;
use serde::Serialize;
use uuid::Uuid;

use crate::time::Time;

#[derive(Debug, Serialize)]
pub struct ActivityRow {
    /// The event's position in the log; the cursor of pages.
    id: String,
    time: Time,
    kind: &'static str,
    user_id: Option<UserId>,
    username: Option<String>,
    token_id: Option<Uuid>,
    outcome: &'static str,
    reason: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: String,
    actor_id: Option<UserId>,
    actor_session: Option<TokenId>,
    actor_key: Option<ApiKeyId>,
    node: Option<String>,
}

/// How many fields a row has.
const FIELDS: usize = 15;

impl ActivityRow {
    pub(super) const FIELDS: [&'static str; FIELDS] = [
        "id",
        "time",
        "kind",
        "user_id",
        "username",
        "token_id",
        "outcome",
        "reason",
        "ip",
        "user_agent",
        "request_id",
        "actor_id",
        "actor_session",
        "actor_key",
        "node",
    ];

    /// What is absent is empty.
    pub(super) fn into_texts(self) -> [String; FIELDS] {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        [
            self.id,
            self.time.to_string(),
            self.kind.to_owned(),
            text(self.user_id),
            text(self.username),
            text(self.token_id),
            self.outcome.to_owned(),
            text(self.reason),
            text(self.ip),
            text(self.user_agent),
            self.request_id,
            text(self.actor_id),
            text(self.actor_session),
            text(self.actor_key),
            text(self.node),
        ]
    }
}

/// A moment without its fraction, so that all are of one length.
#[must_use]
pub fn to_the_second(at: Timestamp) -> String {
    Time(Timestamp::from_micros(at.as_seconds().saturating_mul(1_000_000))).to_string()
}

impl ActivityRow {
    /// As its own user reads it: who else did it is said, but not from where.
    pub(crate) fn for_user(row: Activity, user: UserId) -> Self {
        let theirs = row.actor.is_none_or(|actor| actor == user);
        let row = Self::from(row);
        if theirs { row } else { Self { ip: None, user_agent: None, actor_session: None, actor_key: None, ..row } }
    }
}

impl From<Activity> for ActivityRow {
    fn from(row: Activity) -> Self {
        Self {
            id: row.position.to_string(),
            time: Time(row.at),
            kind: row.kind.as_str(),
            user_id: row.user,
            username: row.username,
            token_id: row.token,
            outcome: row.outcome.as_str(),
            reason: row.reason,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            actor_id: row.actor,
            actor_session: row.actor_session,
            actor_key: row.actor_key,
            node: row.node,
        }
    }
}
