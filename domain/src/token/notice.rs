//! `Note`: what is worth looking up later, and happened to no stream of its own. Each notice is a stream of one event,
//! so that it costs the same whoever it is about, and nobody waits for anybody.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chat::Usage;
use crate::decide::{aggregate, events};
use crate::ids::{ConversationId, NoticeId, UserId};
use crate::words;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeEvent {
    /// Somebody wanted to sign in, and could not. What they typed as their name is kept as a keyed digest alone: it may
    /// have been a password.
    SignInFailed { user: Option<UserId>, identifier: String, reason: SignInFailure },
    /// A refresh token that never was one.
    UnknownTokenPresented { well_formed: bool },
    /// Somebody with a role for it read what is not their own: of one user, or of all.
    AuditRead { by: UserId, of: Option<UserId>, export: bool },
    /// Somebody took a copy of a conversation, or of all that is theirs.
    DataExported { by: UserId, conversation: Option<ConversationId> },
    /// The service signs with another key from now on.
    SigningKeyRotated { kid: String },
    /// Somebody asked more often than a limit allows. A sample: one for each key and window, with how many were refused
    /// since the last one of that key, this one included.
    LimitReached { limit: LimitKind, user: Option<UserId>, refused: u32 },
    /// Somebody had a provider's model embed texts that nobody keeps. What they were is told to nobody else.
    TextsEmbedded { by: UserId, model: String, usage: Usage },
}

events!(NoticeEvent {
    SignInFailed = "1",
    UnknownTokenPresented = "1",
    AuditRead = "1",
    DataExported = "1",
    SigningKeyRotated = "1",
    LimitReached = "1",
    TextsEmbedded = "1",
});

words! {
    SignInFailure {
        UnknownUser = "unknown_user",
        WrongPassword = "wrong_password",
        Disabled = "disabled",
    }
}

words! {
    /// What a limit counts by.
    LimitKind {
        Service = "service",
        User = "user",
        Address = "address",
        SignIn = "sign_in",
        Registration = "registration",
        Budget = "budget",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notice was made already")]
pub struct AlreadyNoted;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    #[default]
    Unknown,
    Noted,
}

aggregate!(Notice, "notice", NoticeId, NoticeEvent, NoticeEvent, AlreadyNoted);

impl Notice {
    fn decide(&self, what: NoticeEvent, _now: Timestamp) -> Result<Vec<NoticeEvent>, AlreadyNoted> {
        match self {
            Self::Unknown => Ok(vec![what]),
            Self::Noted => Err(AlreadyNoted),
        }
    }

    fn evolve(&mut self, _event: NoticeEvent) {
        *self = Self::Noted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn what_is_noted_is_noted_once() {
        let what = NoticeEvent::UnknownTokenPresented { well_formed: true };
        given::<Notice>(vec![]).when(what.clone()).then_expect_events(vec![what.clone()]);
        given::<Notice>(vec![what.clone()]).when(what).then_expect_error(AlreadyNoted);
    }
}
