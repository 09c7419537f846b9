//! What has to happen for a conversation of a document to be here, under ids of its own.

use std::collections::HashSet;

use aws_lc_rs::digest::{Context, SHA256};
use domain::chat::conversation::{Conversation, Features};
use domain::chat::import::{Imported, Kept, Words};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Ending, Interruption, Said};
use domain::chat::{Usage, reply};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::{ConversationName, Digest, Invalid, MessageBody};
use projections::history::{Role, State};

use super::{Message, Session};
use crate::commands::{ImportStep, RequestKey};

/// Why a conversation can't come in; never what it says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Which message is wrong, counted from 1; `None`: the conversation itself.
    pub(crate) message: Option<usize>,
    pub(crate) why: String,
}

impl Unfit {
    fn field(name: &'static str) -> impl Fn(Invalid) -> Self {
        move |invalid| Self { message: None, why: format!("{name} {invalid}") }
    }

    pub(crate) fn because(why: &str) -> Self {
        Self { message: None, why: why.to_owned() }
    }
}

/// The longest reply that comes in, in bytes, and the longest name of a model.
const LONGEST_REPLY: usize = 1 << 20;
const LONGEST_MODEL: usize = 200;

/// In the order in which they are to happen.
pub(crate) struct Steps {
    pub(crate) conversation: ConversationId,
    pub(crate) messages: usize,
    pub(crate) all: Vec<ImportStep>,
}

impl Steps {
    /// What is left of them where the conversation stands so, under a key that was sent before.
    pub(crate) fn after(self, before: &Conversation) -> Result<Self, Unfit> {
        let (Some(ImportStep::Start { features, .. }), Some(ImportStep::Finish { kept, .. })) =
            (self.all.first(), self.all.last())
        else {
            return Ok(self);
        };
        match before {
            Conversation::Unknown => Ok(self),
            Conversation::Deleted => Err(Unfit::because("it came in under this key, and was deleted since")),
            Conversation::Open { imported: Some(digest), .. } if *digest == kept.digest => {
                Ok(Self { all: Vec::new(), ..self })
            }
            Conversation::Open { imported: None, started_with, .. } if started_with == features => Ok(self),
            Conversation::Open { .. } => Err(Unfit::because("another one came in under this key")),
        }
    }
}

impl Session {
    pub(crate) fn steps(self, owner: UserId, key: RequestKey) -> Result<Steps, Unfit> {
        let (names, digest) = (Names { key, session: self.id }, self.digest()?);
        let (conversation, messages) = (names.conversation(), self.messages.len());
        let name = self.name.map(ConversationName::try_from);
        let (name, title) = match (self.is_named, name) {
            (true, name) => (name.transpose().map_err(Unfit::field("session_name"))?, None),
            // Whatever it was called by itself it can be called again.
            (false, name) => (None, name.and_then(Result::ok)),
        };
        let features = Features { name, favourite: self.is_favorite, archived: self.is_archived };
        let mut steps = vec![ImportStep::Start { conversation, features }];
        let (mut known, mut last) = (HashSet::new(), None);
        for (index, message) in self.messages.into_iter().enumerate() {
            let (id, parent) = (message.id, message.parent_id);
            let unfit = |unfit| Unfit { message: Some(index + 1), ..unfit };
            if parent.is_some_and(|parent| !known.contains(&parent)) {
                return Err(unfit(Unfit::because("parent_id names no message before it")));
            }
            if !known.insert(id) {
                return Err(unfit(Unfit::because("message_id is there twice")));
            }
            last = Some(id);
            let message = message.imported(conversation, owner, names).map_err(unfit)?;
            steps.push(ImportStep::Message { id: names.message(id), message: Box::new(message) });
        }
        let leaf = self.leaf_id.filter(|leaf| known.contains(leaf) && last != Some(*leaf));
        steps.extend(leaf.map(|leaf| ImportStep::Choose { conversation, through: names.message(leaf) }));
        let kept = Kept { title, digest, created_at: self.created_at.0, updated_at: self.updated_at.0 };
        steps.push(ImportStep::Finish { conversation, kept });
        Ok(Steps { conversation, messages, all: steps })
    }

    fn digest(&self) -> Result<Digest, Unfit> {
        let unwritable = |_| Unfit::because("it can't be written");
        let mut context = Context::new(&SHA256);
        context.update(&serde_json::to_vec(self).map_err(unwritable)?);
        for message in &self.messages {
            context.update(&serde_json::to_vec(message).map_err(unwritable)?);
        }
        let digest = <[u8; 32]>::try_from(context.finish().as_ref());
        digest.map(Digest::new).map_err(|_| Unfit::because("it can't be told from others"))
    }
}

/// What a conversation of the document and its messages are called here.
#[derive(Clone, Copy)]
struct Names {
    key: RequestKey,
    session: ConversationId,
}

impl Names {
    fn conversation(self) -> ConversationId {
        self.key.id(&format!("session {}", self.session))
    }

    /// In two conversations messages may have one id.
    fn message(self, id: MessageId) -> MessageId {
        self.key.id(&format!("message {id} of {}", self.session))
    }
}

impl Message {
    fn imported(self, conversation: ConversationId, owner: UserId, names: Names) -> Result<Imported, Unfit> {
        let after = self.parent_id.map_or(After::Nothing, |parent| After::Message(names.message(parent)));
        let (rating, created_at, updated_at) = (self.rating, self.created_at.0, self.updated_at.0);
        let words = match self.role {
            Role::User => posted(Speaker::User, &self.content)?,
            Role::Assistant => posted(Speaker::Assistant, &self.content)?,
            Role::System => posted(Speaker::System, &self.content)?,
            Role::Bot => self.replied(names)?,
        };
        Ok(Imported { conversation, owner, after, words, rating, created_at, updated_at })
    }

    fn replied(self, names: Names) -> Result<Words, Unfit> {
        let ending = ending(self.status, self.reason.as_deref())?;
        let to = self.user_message_id.ok_or_else(|| Unfit::because("user_message_id is missing"))?;
        let model = self.model.ok_or_else(|| Unfit::because("model is missing"))?;
        fits(&model, LONGEST_MODEL).map_err(Unfit::field("model"))?;
        fits(&self.content, LONGEST_REPLY).map_err(Unfit::field("content"))?;
        let usage = self.usage.map_or_else(Usage::default, |it| Usage {
            prompt_tokens: it.prompt_tokens,
            completion_tokens: it.completion_tokens,
            estimated: it.estimated,
            cost_micros: None,
        });
        Ok(Words::Replied { to: names.message(to), said: Said { text: self.content, model, usage }, ending })
    }
}

fn posted(speaker: Speaker, content: &str) -> Result<Words, Unfit> {
    let body = MessageBody::within(content, MessageBody::MOST).map_err(Unfit::field("content"))?;
    Ok(Words::Posted { speaker, body })
}

fn fits(text: &str, most: usize) -> Result<(), Invalid> {
    match text {
        _ if text.len() > most => Err(Invalid::TooLong(most)),
        _ if text.contains('\0') => Err(Invalid::Nul),
        _ => Ok(()),
    }
}

fn ending(status: State, reason: Option<&str>) -> Result<Option<Ending>, Unfit> {
    let retry_after_seconds = None;
    let ending = match (status, reason) {
        (State::Done, None) => None,
        (State::Done, Some(finish)) => {
            let finish: reply::FinishReason = finish.parse().map_err(Unfit::field("reason"))?;
            Some(Ending::Completed { finish })
        }
        (State::Stopped, _) => Some(Ending::Stopped),
        // Whoever was making it makes it somewhere else.
        (State::Awaited, _) => Some(Ending::Interrupted { reason: Interruption::NodeLost, retry_after_seconds }),
        (State::Interrupted, reason) => {
            let reason = reason.unwrap_or_default().parse().map_err(Unfit::field("reason"))?;
            Some(Ending::Interrupted { reason, retry_after_seconds })
        }
    };
    Ok(ending)
}
