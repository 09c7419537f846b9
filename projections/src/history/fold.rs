//! A batch in memory: what it adds, keyed so that the same log always writes the same rows.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};

use domain::Timestamp;
use domain::chat::conversation::Features;
use domain::chat::import::{Imported, Kept, Words};
use domain::chat::message::{MessageEvent, Rating};
use domain::chat::place::After;
use domain::chat::reply::{Ending, Said};
use domain::chat::{Usage, title};
use domain::ids::{ConversationId, MessageId, UserId};

use super::{Message, Role, State};
use crate::Change;

/// What came of a reply.
pub(super) struct Ended {
    pub(super) said: Said,
    pub(super) state: State,
    pub(super) reason: Option<&'static str>,
    pub(super) at: Timestamp,
}

impl Ended {
    fn of(ending: Ending, said: &Said, at: Timestamp) -> Self {
        let (state, reason) = match ending {
            Ending::Completed { finish } => (State::Done, Some(finish.as_str())),
            Ending::Stopped => (State::Stopped, None),
            Ending::Interrupted { reason, .. } => (State::Interrupted, Some(reason.as_str())),
        };
        Self { said: said.clone(), state, reason, at }
    }
}

pub(super) struct Started {
    pub(super) id: ConversationId,
    pub(super) owner: UserId,
    pub(super) features: Features,
    pub(super) at: Timestamp,
    pub(super) position: i64,
}

/// A message that goes on where its conversation has got to.
pub(super) struct Added {
    pub(super) message: Message,
    /// What it follows was written before this batch.
    pub(super) follows_leaf: bool,
}

/// By what a conversation has grown.
pub(super) struct Grown {
    pub(super) count: i64,
    pub(super) at: Timestamp,
    pub(super) touched: i64,
    pub(super) leaf: MessageId,
    /// What it would be called.
    pub(super) title: Option<String>,
}

impl Grown {
    /// By one message.
    pub(super) fn by(message: &Message) -> Self {
        let title = if message.role == Role::User { title::of(&message.content) } else { None };
        Self { count: 1, at: message.created_at, touched: message.position.get(), leaf: message.id, title }
    }

    fn and(&mut self, next: Self) {
        self.count += next.count;
        self.at = self.at.max(next.at);
        (self.touched, self.leaf) = (next.touched, next.leaf);
        self.title = self.title.take().or(next.title);
    }
}

/// A conversation that came in from elsewhere: it has the times that it had there, and stands where it came in.
pub(super) struct Finished {
    pub(super) kept: Kept,
    pub(super) touched: i64,
}

#[derive(Default)]
pub(super) struct Fold {
    pub(super) started: Vec<Started>,
    /// Of those, in which nothing was said.
    empty: HashSet<ConversationId>,
    pub(super) added: Vec<Added>,
    /// Where in `added` a reply stands that is still awaited.
    awaited: BTreeMap<MessageId, usize>,
    /// Replies that were requested in an earlier batch.
    pub(super) ended: Vec<(MessageId, Ended)>,
    pub(super) grown: BTreeMap<ConversationId, Grown>,
    pub(super) owners: BTreeMap<UserId, i64>,
    /// Nothing is said in these any more.
    pub(super) finished: BTreeMap<ConversationId, Finished>,
    /// Where conversations have got to that were written before.
    leaves: BTreeMap<ConversationId, MessageId>,
}

/// Whether an event has found its place in the batch.
pub(super) enum Placed {
    Here,
    /// A message that begins a branch, or may.
    Aside(Box<Message>),
}

impl Fold {
    pub(super) fn conversation_started(
        &mut self,
        change: &Change,
        id: ConversationId,
        owner: UserId,
        features: &Features,
    ) {
        let (features, at, position) = (features.clone(), change.at, change.position.get());
        self.empty.insert(id);
        self.started.push(Started { id, owner, features, at, position });
    }

    /// What is to be written before something else is. Nothing is forgotten of where conversations have got to.
    pub(super) fn take(&mut self) -> Self {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.extend(self.grown.iter().map(|(id, grown)| (*id, grown.leaf)));
        std::mem::replace(self, Self { leaves, ..Self::default() })
    }

    /// A message was written by itself: its conversation goes on there.
    pub(super) fn grafted(&mut self, conversation: ConversationId, leaf: MessageId) {
        self.leaves.insert(conversation, leaf);
    }

    pub(super) fn conversation_imported(&mut self, change: &Change, id: ConversationId, kept: &Kept) {
        self.finished.insert(id, Finished { kept: kept.clone(), touched: change.position.get() });
    }

    /// Whether something is said where nothing more was to be said.
    pub(super) fn is_over_before(&self, event: &MessageEvent) -> bool {
        let conversation = match event {
            MessageEvent::MessagePosted { conversation, .. } | MessageEvent::ReplyGiven { conversation, .. } => {
                conversation
            }
            MessageEvent::ReplyRequested { reply, .. } => &reply.conversation,
            MessageEvent::MessageImported { message } => &message.conversation,
            MessageEvent::ReplyCompleted { .. }
            | MessageEvent::ReplyStopped { .. }
            | MessageEvent::ReplyInterrupted { .. }
            | MessageEvent::MessageRated { .. }
            | MessageEvent::MessageEmbedded { .. }
            | MessageEvent::MessageDeleted { .. } => return false,
        };
        self.finished.contains_key(conversation)
    }

    pub(super) fn message(&mut self, change: &Change, id: MessageId, event: &MessageEvent) -> Placed {
        if let Some((ending, said)) = event.ending() {
            self.reply_ended(id, Ended::of(ending, said, change.at));
            return Placed::Here;
        }
        match event {
            MessageEvent::MessagePosted { conversation, owner, body, speaker, after } => {
                let message = added(change, id, *conversation, *owner);
                let (role, content) = (Role::from(*speaker), body.as_str().to_owned());
                self.add(Message { role, content, ..message }, *after)
            }
            MessageEvent::ReplyGiven { conversation, owner, to, text, model } => {
                let (role, content, model) = (Role::Bot, text.clone(), Some(model.clone()));
                let reply = added(change, id, *conversation, *owner);
                self.add(Message { role, content, model, answers: Some(*to), ..reply }, After::Message(*to))
            }
            MessageEvent::ReplyRequested { reply, asked } => {
                let (role, model, state) = (Role::Bot, Some(asked.model.clone()), State::Awaited);
                let awaited = added(change, id, reply.conversation, reply.owner);
                let awaited = Message { role, model, state, answers: Some(reply.to), ..awaited };
                self.add(awaited, After::Message(reply.to))
            }
            MessageEvent::MessageImported { message } => {
                let had = added(change, id, message.conversation, message.owner);
                self.add(imported(had, message), message.after)
            }
            MessageEvent::ReplyCompleted { .. }
            | MessageEvent::ReplyStopped { .. }
            | MessageEvent::ReplyInterrupted { .. }
            | MessageEvent::MessageRated { .. }
            | MessageEvent::MessageEmbedded { .. }
            | MessageEvent::MessageDeleted { .. } => Placed::Here,
        }
    }

    /// Adds a message where its conversation has got to; one that may stand elsewhere is given back.
    fn add(&mut self, message: Message, after: After) -> Placed {
        let grown = self.grown.get(&message.conversation).map(|grown| grown.leaf);
        let leaf = grown.or_else(|| self.leaves.get(&message.conversation).copied());
        let is_new = leaf.is_none() && self.empty.contains(&message.conversation);
        match (after, leaf) {
            (After::Latest, leaf) => self.append(Message { parent: leaf, ..message }, leaf.is_none() && !is_new),
            (After::Message(parent), Some(leaf)) if parent == leaf => {
                self.append(Message { parent: Some(parent), ..message }, false);
            }
            (After::Nothing, None) if is_new => self.append(message, false),
            (After::Nothing, _) => return Placed::Aside(Box::new(Message { shown: false, ..message })),
            (After::Message(parent), _) => {
                return Placed::Aside(Box::new(Message { parent: Some(parent), shown: false, ..message }));
            }
        }
        Placed::Here
    }

    fn append(&mut self, message: Message, follows_leaf: bool) {
        self.empty.remove(&message.conversation);
        match self.grown.entry(message.conversation) {
            Entry::Vacant(place) => drop(place.insert(Grown::by(&message))),
            Entry::Occupied(mut grown) => grown.get_mut().and(Grown::by(&message)),
        }
        *self.owners.entry(message.owner).or_default() += 1;
        if message.state == State::Awaited {
            self.awaited.insert(message.id, self.added.len());
        }
        self.added.push(Added { message, follows_leaf });
    }

    fn reply_ended(&mut self, id: MessageId, ended: Ended) {
        match self.awaited.remove(&id).and_then(|index| self.added.get_mut(index)) {
            Some(Added { message: reply, .. }) => {
                reply.updated_at = ended.at;
                fill(reply, ended);
            }
            None => self.ended.push((id, ended)),
        }
    }
}

/// Gives a reply what came of it.
fn fill(reply: &mut Message, ended: Ended) {
    let Ended { said, state, reason, at: _ } = ended;
    (reply.content, reply.model) = (said.text, Some(said.model));
    reply.usage = Usage { cost_micros: None, ..said.usage };
    (reply.state, reply.reason) = (state, reason.map(str::to_owned));
}

/// A message as it was elsewhere.
fn imported(had: Message, imported: &Imported) -> Message {
    let Imported { words, rating, created_at, updated_at, .. } = imported;
    let (rating, at) = (rating.filter(|rating| *rating != Rating::Unrated), *updated_at);
    let mut message = Message { role: words.into(), rating, created_at: *created_at, updated_at: at, ..had };
    match words {
        Words::Posted { body, .. } => body.as_str().clone_into(&mut message.content),
        Words::Replied { to, said, ending } => {
            message.answers = Some(*to);
            let given = || Ended { said: said.clone(), state: State::Done, reason: None, at };
            fill(&mut message, ending.map_or_else(given, |ending| Ended::of(ending, said, at)));
        }
    }
    message
}

/// What all messages have.
fn added(change: &Change, id: MessageId, conversation: ConversationId, owner: UserId) -> Message {
    Message {
        id,
        conversation,
        owner,
        role: Role::User,
        content: String::new(),
        model: None,
        parent: None,
        shown: true,
        answers: None,
        state: State::Done,
        reason: None,
        usage: Usage::default(),
        rating: None,
        created_at: change.at,
        updated_at: change.at,
        position: change.position,
    }
}
