//! The document in which conversations leave the house, and in which they come in: one shape for both ways.

mod arriving;
mod read;
mod steps;

use domain::chat::message::Rating;
use domain::ids::{ConversationId, MessageId};
use projections::history::{self, Role, State};
use serde::{Deserialize, Serialize};

use crate::time::Time;
pub(crate) use arriving::{Arriving, Budget};
pub(crate) use read::{Stopped, read};
pub(crate) use steps::{Steps, Unfit};

/// What a document says that it is.
pub(crate) const FORMAT: &str = "colloquy";
/// Of what shape it is; another one is not read.
pub(crate) const VERSION: u32 = 1;

/// A conversation. What goes out has its messages added by whoever writes them, as there may be many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    #[serde(rename = "session_id")]
    id: ConversationId,
    #[serde(rename = "session_name")]
    name: Option<String>,
    /// Its owner called it that; else it is what was said in it.
    #[serde(default = "yes")]
    is_named: bool,
    #[serde(default)]
    is_favorite: bool,
    #[serde(default)]
    is_archived: bool,
    /// Where it goes on; absent: at its last message.
    #[serde(default)]
    leaf_id: Option<MessageId>,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing)]
    messages: Vec<Message>,
}

const fn yes() -> bool {
    true
}

/// A message; what it follows comes before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "message_id")]
    id: MessageId,
    parent_id: Option<MessageId>,
    role: Role,
    content: String,
    #[serde(default = "done")]
    status: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// For a reply: what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_message_id: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rating: Option<Rating>,
    created_at: Time,
    updated_at: Time,
    /// Named only: their bytes are not in the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File>,
}

const fn done() -> State {
    State::Done
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    #[serde(default)]
    estimated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    name: String,
    media_type: String,
    size: u64,
}

impl From<history::Conversation> for Session {
    fn from(kept: history::Conversation) -> Self {
        Self {
            id: kept.id,
            name: kept.name,
            is_named: kept.is_named,
            is_favorite: kept.favourite,
            is_archived: kept.archived,
            leaf_id: kept.leaf,
            created_at: Time(kept.created_at),
            updated_at: Time(kept.updated_at),
            messages: Vec::new(),
        }
    }
}

impl Message {
    pub(crate) fn of(kept: history::Message, files: Vec<history::Attachment>) -> Self {
        let usage = kept.usage;
        let (prompt_tokens, completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
        let usage = Usage { prompt_tokens, completion_tokens, estimated: usage.estimated };
        Self {
            id: kept.id,
            parent_id: kept.parent,
            role: kept.role,
            content: kept.content,
            status: kept.state,
            reason: kept.reason,
            model: kept.model,
            user_message_id: kept.answers,
            usage: kept.answers.map(|_| usage),
            rating: kept.rating,
            created_at: Time(kept.created_at),
            updated_at: Time(kept.updated_at),
            attachments: files.into_iter().map(File::from).collect(),
        }
    }
}

impl From<history::Attachment> for File {
    fn from(it: history::Attachment) -> Self {
        let media_type = it.file.media_type.as_str().to_owned();
        Self { name: it.file.name.into(), media_type, size: it.file.size }
    }
}
