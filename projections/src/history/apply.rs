//! Events in: a batch is folded in memory, then written in a few statements.

use std::collections::BTreeMap;

use domain::chat::Usage;
use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::chat::reply::{Ending, Said};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::columns::write;
use super::{Message, Role, State};
use crate::Change;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        match &change.event {
            Event::Conversation(id, ConversationEvent::ConversationStarted { owner }) => {
                fold.conversation_started(change, *id, *owner);
            }
            Event::Conversation(id, ConversationEvent::ConversationDeleted { owner }) => {
                write(tx, std::mem::take(&mut fold)).await?;
                conversation_deleted(tx, *id, *owner).await?;
            }
            Event::Message(id, event) => fold.message(change, *id, event),
            Event::User(..) | Event::Claim(..) | Event::Token(..) | Event::ApiKey(..) | Event::Notice(..) => {}
        }
    }
    write(tx, fold).await
}

/// What came of a reply.
pub(super) struct Ended {
    pub(super) said: Said,
    pub(super) state: State,
    pub(super) reason: Option<&'static str>,
}

impl Ended {
    fn of(ending: Ending, said: &Said) -> Self {
        let (state, reason) = match ending {
            Ending::Completed { finish } => (State::Done, Some(finish.as_str())),
            Ending::Stopped => (State::Stopped, None),
            Ending::Interrupted { reason, .. } => (State::Interrupted, Some(reason.as_str())),
        };
        Self { said: said.clone(), state, reason }
    }
}

/// What a batch adds, keyed so that the same log always writes the same rows in the same order.
#[derive(Default)]
pub(super) struct Fold {
    pub(super) started: Vec<(ConversationId, UserId, Timestamp, i64)>,
    pub(super) added: Vec<Message>,
    /// Where in `added` a reply stands that is still awaited.
    awaited: BTreeMap<MessageId, usize>,
    /// Replies that were requested in an earlier batch.
    pub(super) ended: Vec<(MessageId, Ended)>,
    pub(super) grown: BTreeMap<ConversationId, (i64, Timestamp)>,
    pub(super) owners: BTreeMap<UserId, i64>,
}

impl Fold {
    fn conversation_started(&mut self, change: &Change, id: ConversationId, owner: UserId) {
        self.started.push((id, owner, change.at, change.position.get()));
    }

    fn message(&mut self, change: &Change, id: MessageId, event: &MessageEvent) {
        if let Some((ending, said)) = event.ending() {
            return self.reply_ended(id, Ended::of(ending, said));
        }
        match event {
            MessageEvent::MessagePosted { conversation, owner, body } => {
                let message = added(change, id, *conversation, *owner);
                self.add(Message { content: body.as_str().to_owned(), ..message });
            }
            MessageEvent::ReplyGiven { conversation, owner, to, text, model } => {
                let (role, content, model) = (Role::Bot, text.clone(), Some(model.clone()));
                let reply = added(change, id, *conversation, *owner);
                self.add(Message { role, content, model, answers: Some(*to), ..reply });
            }
            MessageEvent::ReplyRequested { reply, asked } => {
                self.awaited.insert(id, self.added.len());
                let (role, model, state) = (Role::Bot, Some(asked.model.clone()), State::Awaited);
                let awaited = added(change, id, reply.conversation, reply.owner);
                self.add(Message { role, model, state, answers: Some(reply.to), ..awaited });
            }
            MessageEvent::ReplyCompleted { .. }
            | MessageEvent::ReplyStopped { .. }
            | MessageEvent::ReplyInterrupted { .. } => {}
        }
    }

    fn add(&mut self, message: Message) {
        let grown = self.grown.entry(message.conversation).or_insert((0, message.created_at));
        *grown = (grown.0 + 1, grown.1.max(message.created_at));
        *self.owners.entry(message.owner).or_default() += 1;
        self.added.push(message);
    }

    fn reply_ended(&mut self, id: MessageId, ended: Ended) {
        match self.awaited.remove(&id).and_then(|index| self.added.get_mut(index)) {
            Some(reply) => {
                let Ended { said, state, reason } = ended;
                reply.content = said.text;
                reply.model = Some(said.model);
                reply.usage = Usage { cost_micros: None, ..said.usage };
                (reply.state, reply.reason) = (state, reason.map(str::to_owned));
            }
            None => self.ended.push((id, ended)),
        }
    }
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
        answers: None,
        state: State::Done,
        reason: None,
        usage: Usage::default(),
        created_at: change.at,
        position: change.position,
    }
}

async fn conversation_deleted(tx: &mut Tx, id: ConversationId, owner: UserId) -> Result<(), StoreError> {
    let (id, owner): (Uuid, Uuid) = (id.into(), owner.into());
    let uncount = "update owners set messages = messages - (select count(*) from messages where conversation = $1) \
                   where id = $2";
    on_tx!(tx, connection => sqlx::query(uncount).bind(id).bind(owner).execute(connection).await.map(|_| ()))?;
    for delete in ["delete from messages where conversation = $1", "delete from conversations where id = $1"] {
        on_tx!(tx, connection => sqlx::query(delete).bind(id).execute(connection).await.map(|_| ()))?;
    }
    Ok(())
}
