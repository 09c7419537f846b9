//! `Add` → `AttachmentAdded`; `Remove` → `AttachmentRemoved`: a file that belongs to a message. Its bytes are kept elsewhere;
//! when the message goes, or its conversation, no event of this stream says so.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{AttachmentId, BytesId, ConversationId, MessageId, UserId};
use crate::values::{Digest, FileName, MediaType};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentCommand {
    Add { to: AttachedTo, file: File, kept_as: BytesId },
    Remove { by: UserId },
}

/// Whose it is, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedTo {
    pub owner: UserId,
    pub conversation: ConversationId,
    pub message: MessageId,
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub name: FileName,
    pub media_type: MediaType,
    pub size: u64,
    pub digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachmentEvent {
    /// In version 1 bytes were kept under their attachment's own id.
    AttachmentAdded {
        #[serde(flatten)]
        to: AttachedTo,
        #[serde(flatten)]
        file: File,
        #[serde(default)]
        kept_as: Option<BytesId>,
    },
    AttachmentRemoved {
        owner: UserId,
        message: MessageId,
    },
}

events!(AttachmentEvent { AttachmentAdded = "2", AttachmentRemoved = "1" });

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    #[error("the attachment exists already")]
    AlreadyAdded,
    /// Foreign, removed, or never added: one answer for all three.
    #[error("there is no such attachment")]
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attachment {
    #[default]
    Unknown,
    Added {
        to: AttachedTo,
        file: File,
        /// `None`: under its own id.
        kept_as: Option<BytesId>,
    },
    Removed,
}

aggregate!(Attachment, "attachment", AttachmentId, AttachmentCommand, AttachmentEvent, AttachmentError);

impl Attachment {
    /// Where it stands, as long as it does.
    #[must_use]
    pub const fn place(&self) -> Option<AttachedTo> {
        match self {
            Self::Added { to, .. } => Some(*to),
            Self::Unknown | Self::Removed => None,
        }
    }

    fn decide(&self, command: AttachmentCommand, _now: Timestamp) -> Result<Vec<AttachmentEvent>, AttachmentError> {
        match (self, command) {
            (Self::Unknown, AttachmentCommand::Add { to, file, kept_as }) => {
                Ok(vec![AttachmentEvent::AttachmentAdded { to, file, kept_as: Some(kept_as) }])
            }
            (Self::Added { .. } | Self::Removed, AttachmentCommand::Add { .. }) => Err(AttachmentError::AlreadyAdded),
            (Self::Added { to, .. }, AttachmentCommand::Remove { by }) if to.owner == by => {
                Ok(vec![AttachmentEvent::AttachmentRemoved { owner: by, message: to.message }])
            }
            (_, AttachmentCommand::Remove { .. }) => Err(AttachmentError::NotFound),
        }
    }

    fn evolve(&mut self, event: AttachmentEvent) {
        *self = match event {
            AttachmentEvent::AttachmentAdded { to, file, kept_as } => Self::Added { to, file, kept_as },
            AttachmentEvent::AttachmentRemoved { .. } => Self::Removed,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, id, parsed};

    fn to() -> AttachedTo {
        AttachedTo { owner: id(1), conversation: id(2), message: id(3) }
    }

    fn file() -> File {
        let digest = Digest::new([7; 32]);
        File { name: parsed("plan.pdf"), media_type: MediaType::Pdf, size: 12, digest }
    }

    fn add() -> AttachmentCommand {
        AttachmentCommand::Add { to: to(), file: file(), kept_as: id(4) }
    }

    fn added() -> AttachmentEvent {
        AttachmentEvent::AttachmentAdded { to: to(), file: file(), kept_as: Some(id(4)) }
    }

    fn removed() -> AttachmentEvent {
        AttachmentEvent::AttachmentRemoved { owner: id(1), message: id(3) }
    }

    #[test]
    fn a_file_is_added() {
        given::<Attachment>(vec![]).when(add()).then_expect_events(vec![added()]);
    }

    #[test]
    fn a_stream_is_one_file() {
        for history in [vec![added()], vec![added(), removed()]] {
            given::<Attachment>(history).when(add()).then_expect_error(AttachmentError::AlreadyAdded);
        }
    }

    #[test]
    fn its_owner_removes_it_once() {
        let remove = || AttachmentCommand::Remove { by: id(1) };
        given::<Attachment>(vec![added()]).when(remove()).then_expect_events(vec![removed()]);
        given::<Attachment>(vec![added(), removed()]).when(remove()).then_expect_error(AttachmentError::NotFound);
    }

    /// Nobody may learn whether a file exists that is not theirs.
    #[test]
    fn never_added_and_foreign_look_the_same() {
        for history in [vec![], vec![added()]] {
            given::<Attachment>(history)
                .when(AttachmentCommand::Remove { by: id(9) })
                .then_expect_error(AttachmentError::NotFound);
        }
    }

    #[test]
    fn it_has_a_place_as_long_as_it_is_there() {
        let mut state = Attachment::default();
        assert_eq!(state.place(), None);
        state.evolve(added());
        assert_eq!(state.place(), Some(to()));
        state.evolve(removed());
        assert_eq!(state.place(), None);
    }
}
