//! Where in the tree of a conversation a message stands, and who speaks.

use serde::{Deserialize, Serialize};

use crate::ids::MessageId;

/// What a message follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// Wherever the conversation has got to when the message comes into the log.
    #[default]
    Latest,
    /// Nothing: it begins the conversation, or begins it anew.
    Nothing,
    Message(MessageId),
}

crate::words! {
    /// Whose words they are.
    #[derive(Default)]
    Speaker {
        #[default]
        User = "user",
        Assistant = "assistant",
        System = "system",
    }
}
