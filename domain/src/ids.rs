//! Every id its own type, so that no stream is ever named by another stream's id.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A person, or a program that acts as one.
    UserId;
    /// The stream that says who holds a user name or an email; see [`ClaimId::of`].
    ClaimId;
    /// One sign-in on one device.
    TokenId;
    /// The public half of a key for programs.
    ApiKeyId;
    /// Something worth noting that happened to no stream of its own.
    NoticeId;
    /// A talk; the HTTP API calls it a session.
    ConversationId;
    /// A message of a user or the reply to one.
    MessageId;
    /// A file that belongs to a message.
    AttachmentId;
    /// The bytes of a file, wherever they are kept.
    BytesId;
}

impl From<AttachmentId> for BytesId {
    /// Under which id they are kept where no other is named.
    fn from(id: AttachmentId) -> Self {
        Self(id.0)
    }
}

/// What a claim is laid on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    Username,
    Email,
}

impl ClaimId {
    /// The root of all claim ids; a constant of the log's format.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_9c5e_4b7a_4c0f_9d53_2a1b_7e60_c011);

    /// The one stream of a normalised value: two spellings of a name meet in the same stream.
    #[must_use]
    pub fn of(kind: ClaimKind, key: &str) -> Self {
        let kind = match kind {
            ClaimKind::Username => "username",
            ClaimKind::Email => "email",
        };
        Self(Uuid::new_v5(&Self::NAMESPACE, format!("{kind}:{key}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "018bcfe5-6800-7000-8000-00000000002a";

    #[test]
    fn an_id_reads_what_it_writes() {
        let id: MessageId = TEXT.parse().unwrap();
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(MessageId::from(Uuid::from(id)), id);
        assert!("018bcfe5".parse::<MessageId>().is_err());
    }

    #[test]
    fn an_id_in_json_is_its_text() {
        let id: UserId = TEXT.parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), id);
    }

    #[test]
    fn a_claims_kind_in_json_is_its_name() {
        for (kind, json) in [(ClaimKind::Username, "\"username\""), (ClaimKind::Email, "\"email\"")] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(serde_json::from_str::<ClaimKind>(json).unwrap(), kind);
        }
    }

    /// These were reckoned by another program (Python's `uuid.uuid5`). If this fails, every name in every log is free
    /// again: put the namespace back.
    #[test]
    fn claim_ids_never_change() {
        let id = |kind, key| ClaimId::of(kind, key).to_string();
        assert_eq!(id(ClaimKind::Username, "ada"), "30f893f2-7148-5bf1-875f-6892e41b5e8b");
        assert_eq!(id(ClaimKind::Email, "ada@example.org"), "9e1fa210-41de-538c-a594-dbcfc4f2b9f7");
    }

    #[test]
    fn a_claim_is_named_by_its_kind_and_key_alone() {
        let ada = ClaimId::of(ClaimKind::Username, "ada");
        assert_eq!(ada, ClaimId::of(ClaimKind::Username, &"ADA".to_lowercase()));
        assert_ne!(ada, ClaimId::of(ClaimKind::Email, "ada"));
        assert_ne!(ada, ClaimId::of(ClaimKind::Username, "ada "));
        assert_ne!(ada, ClaimId::of(ClaimKind::Username, "Ada"));
    }
}
