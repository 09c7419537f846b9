//! Events in: a batch is folded in memory, then written in a few statements.

use std::collections::BTreeMap;

use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp};
use store::bulk::{self, Column};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::{Message, Role};
use crate::Change;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        match &change.event {
            Event::Conversation(id, ConversationEvent::ConversationStarted { owner }) => {
                fold.conversation_started(change, *id, *owner);
            }
            Event::Conversation(id, ConversationEvent::ConversationDeleted { owner }) => {
                std::mem::take(&mut fold).write(tx).await?;
                conversation_deleted(tx, *id, *owner).await?;
            }
            Event::Message(id, event) => fold.message(change, *id, event),
            Event::User(..) | Event::Claim(..) | Event::Token(..) | Event::ApiKey(..) | Event::Notice(..) => {}
        }
    }
    fold.write(tx).await
}

/// What a batch adds, keyed so that the same log always writes the same rows in the same order.
#[derive(Default)]
struct Fold {
    started: Vec<(ConversationId, UserId, Timestamp, i64)>,
    added: Vec<Message>,
    /// Where in `added` a reply stands that is still awaited.
    awaited: BTreeMap<MessageId, usize>,
    /// Replies that were requested in an earlier batch.
    completed: Vec<(MessageId, String, String)>,
    grown: BTreeMap<ConversationId, (i64, Timestamp)>,
    owners: BTreeMap<UserId, i64>,
}

impl Fold {
    fn conversation_started(&mut self, change: &Change, id: ConversationId, owner: UserId) {
        self.started.push((id, owner, change.at, change.position.get()));
    }

    fn message(&mut self, change: &Change, id: MessageId, event: &MessageEvent) {
        match event {
            MessageEvent::MessagePosted { conversation, owner, body } => {
                self.add(change, id, *conversation, *owner, Role::User, body.as_str().to_owned(), None);
            }
            MessageEvent::ReplyRequested { conversation, owner, model, to: _ } => {
                self.awaited.insert(id, self.added.len());
                self.add(change, id, *conversation, *owner, Role::Bot, String::new(), Some(model.clone()));
            }
            MessageEvent::ReplyCompleted { text, model, usage: _ } => self.reply_completed(id, text, model),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row has as many cells")]
    fn add(
        &mut self,
        change: &Change,
        id: MessageId,
        conversation: ConversationId,
        owner: UserId,
        role: Role,
        content: String,
        model: Option<String>,
    ) {
        let (created_at, position) = (change.at, change.position);
        self.added.push(Message { id, conversation, owner, role, content, model, created_at, position });
        let grown = self.grown.entry(conversation).or_insert((0, created_at));
        *grown = (grown.0 + 1, grown.1.max(created_at));
        *self.owners.entry(owner).or_default() += 1;
    }

    fn reply_completed(&mut self, id: MessageId, text: &str, model: &str) {
        match self.awaited.remove(&id).and_then(|index| self.added.get_mut(index)) {
            Some(reply) => {
                text.clone_into(&mut reply.content);
                reply.model = Some(model.to_owned());
            }
            None => self.completed.push((id, text.to_owned(), model.to_owned())),
        }
    }

    async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        bulk::execute(tx, START, &self.started_columns()).await?;
        bulk::execute(tx, ADD, &added_columns(&self.added)).await?;
        bulk::execute(tx, COMPLETE, &completed_columns(&self.completed)).await?;
        bulk::execute(tx, GROW, &grown_columns(&self.grown)).await?;
        bulk::execute(tx, COUNT, &counted_columns(&self.owners)).await
    }

    fn started_columns(&self) -> [Column<'_>; 4] {
        [
            Column::Uuid(self.started.iter().map(|it| it.0.into()).collect()),
            Column::Uuid(self.started.iter().map(|it| it.1.into()).collect()),
            Column::Int(self.started.iter().map(|it| it.2.as_micros()).collect()),
            Column::Int(self.started.iter().map(|it| it.3).collect()),
        ]
    }
}

fn added_columns(added: &[Message]) -> [Column<'_>; 8] {
    [
        Column::Uuid(added.iter().map(|it| it.id.into()).collect()),
        Column::Uuid(added.iter().map(|it| it.conversation.into()).collect()),
        Column::Uuid(added.iter().map(|it| it.owner.into()).collect()),
        Column::Text(added.iter().map(|it| it.role.as_str()).collect()),
        Column::Int(added.iter().map(|it| it.created_at.as_micros()).collect()),
        Column::Int(added.iter().map(|it| it.position.get()).collect()),
        Column::OptionalText(added.iter().map(|it| it.model.as_deref()).collect()),
        Column::Text(added.iter().map(|it| it.content.as_str()).collect()),
    ]
}

fn grown_columns(grown: &BTreeMap<ConversationId, (i64, Timestamp)>) -> [Column<'_>; 3] {
    [
        Column::Uuid(grown.keys().copied().map(Uuid::from).collect()),
        Column::Int(grown.values().map(|it| it.0).collect()),
        Column::Int(grown.values().map(|it| it.1.as_micros()).collect()),
    ]
}

fn counted_columns(owners: &BTreeMap<UserId, i64>) -> [Column<'_>; 2] {
    [Column::Uuid(owners.keys().copied().map(Uuid::from).collect()), Column::Int(owners.values().copied().collect())]
}

fn completed_columns(completed: &[(MessageId, String, String)]) -> [Column<'_>; 3] {
    [
        Column::Uuid(completed.iter().map(|it| it.0.into()).collect()),
        Column::Text(completed.iter().map(|it| it.1.as_str()).collect()),
        Column::Text(completed.iter().map(|it| it.2.as_str()).collect()),
    ]
}

const START: &str = "\
    with started (id, owner, at, position) as ({rows}) \
    insert into conversations (id, owner, messages, created_at, updated_at, position) \
    select id, owner, 0, at, at, position from started";

const ADD: &str = "\
    with added (id, conversation, owner, role, at, position, model, content) as ({rows}) \
    insert into messages (id, conversation, owner, role, content, model, created_at, position) \
    select id, conversation, owner, role, content, model, at, position from added";

const COMPLETE: &str = "\
    with completed (id, content, model) as ({rows}) \
    update messages set content = completed.content, model = completed.model \
    from completed where messages.id = completed.id";

const GROW: &str = "\
    with grown (id, count, at) as ({rows}) \
    update conversations set messages = messages + grown.count, \
        updated_at = case when updated_at < grown.at then grown.at else updated_at end \
    from grown where conversations.id = grown.id";

const COUNT: &str = "\
    with counted (id, count) as ({rows}) \
    insert into owners (id, messages) select id, count from counted where true \
    on conflict (id) do update set messages = owners.messages + excluded.messages";

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
