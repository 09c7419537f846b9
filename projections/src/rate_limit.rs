//! `rate_limit`: how many answers were asked for, and how many were refused by a limit, for each user and the service, for
//! each minute.

mod apply;
mod query;

use std::time::Duration;

use domain::chat::message::MessageEvent;
use domain::ids::UserId;
use domain::token::notice::{LimitKind, NoticeEvent};
use domain::{Event, Timestamp};
use store::read_model::{Spec, Tables};
use store::{StoreError, Tx};
use uuid::Uuid;

use crate::{Change, Projection};
pub use query::{admitted, minutes};

/// The read model of what limits count.
#[derive(Debug)]
pub struct RateLimit;

impl Projection for RateLimit {
    const SPEC: Spec =
        Spec { name: "rate_limit", tables: Tables::Same(include_str!("../../migrations/rate_limit/tables.sql")) };
    /// Counts by the minute can be a moment late, and every turn would cost a transaction.
    const PACE: Duration = Duration::from_millis(50);

    fn concerns(event: &Event) -> bool {
        counted(event).is_some()
    }

    async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
        apply::apply(tx, changes).await
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Everybody's.
    Service,
    User(UserId),
}

impl Subject {
    /// What names it in the table. No user has the nil UUID: theirs are made of a time, or are the bootstrap key's.
    fn key(self) -> Uuid {
        match self {
            Self::Service => Uuid::nil(),
            Self::User(user) => user.into(),
        }
    }
}

/// One minute in which something was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Minutes since 1970.
    pub minute: i64,
    pub admitted: i64,
    pub refused: i64,
    /// When the newest of the admitted was.
    pub last_at: Option<Timestamp>,
}

/// The minute that a moment lies in, since 1970.
#[must_use]
pub const fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(60)
}

/// What an event adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// To this user and to the service.
    Admitted(UserId),
    Refused(Subject, u32),
}

fn counted(event: &Event) -> Option<Counted> {
    match event {
        Event::Message(_, event) => asked_by(event).map(Counted::Admitted),
        Event::Notice(_, NoticeEvent::TextsEmbedded { by, .. }) => Some(Counted::Admitted(*by)),
        Event::Notice(_, NoticeEvent::LimitReached { limit, user, refused }) => {
            refused_to(*limit, *user).map(|subject| Counted::Refused(subject, *refused))
        }
        Event::Notice(
            _,
            NoticeEvent::SignInFailed { .. }
            | NoticeEvent::UnknownTokenPresented { .. }
            | NoticeEvent::AuditRead { .. }
            | NoticeEvent::DataExported { .. }
            | NoticeEvent::SigningKeyRotated { .. },
        )
        | Event::Conversation(..)
        | Event::User(..)
        | Event::Claim(..)
        | Event::Token(..)
        | Event::ApiKey(..)
        | Event::Attachment(..) => None,
    }
}

/// Who asked for an answer. A reply's stream begins with one of these two, and has no other of them.
const fn asked_by(event: &MessageEvent) -> Option<UserId> {
    match event {
        MessageEvent::ReplyRequested { reply, .. } => Some(reply.owner),
        MessageEvent::ReplyGiven { owner, .. } => Some(*owner),
        MessageEvent::MessagePosted { .. }
        | MessageEvent::ReplyCompleted { .. }
        | MessageEvent::ReplyStopped { .. }
        | MessageEvent::ReplyInterrupted { .. }
        // It was answered elsewhere.
        | MessageEvent::MessageImported { .. }
        | MessageEvent::MessageRated { .. }
        | MessageEvent::MessageEmbedded { .. }
        | MessageEvent::MessageDeleted { .. } => None,
    }
}

/// Whose row counts the refusals of a limit; some limits have none.
fn refused_to(limit: LimitKind, user: Option<UserId>) -> Option<Subject> {
    match limit {
        LimitKind::Service => Some(Subject::Service),
        LimitKind::User | LimitKind::Budget => user.map(Subject::User),
        LimitKind::Address | LimitKind::SignIn | LimitKind::Registration => None,
    }
}
