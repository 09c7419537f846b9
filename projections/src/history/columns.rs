//! A folded batch as a few statements.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::Message;
use super::apply::{Ended, Fold};

pub(super) async fn write(tx: &mut Tx, fold: Fold) -> Result<(), StoreError> {
    bulk::execute(tx, START, &started_columns(&fold)).await?;
    bulk::execute(tx, ADD, &added_columns(&fold.added)).await?;
    bulk::execute(tx, END, &ended_columns(&fold.ended)).await?;
    bulk::execute(tx, GROW, &grown_columns(&fold.grown)).await?;
    bulk::execute(tx, COUNT, &counted_columns(&fold.owners)).await
}

fn started_columns(fold: &Fold) -> [Column<'_>; 4] {
    [
        Column::Uuid(fold.started.iter().map(|it| it.0.into()).collect()),
        Column::Uuid(fold.started.iter().map(|it| it.1.into()).collect()),
        Column::Int(fold.started.iter().map(|it| it.2.as_micros()).collect()),
        Column::Int(fold.started.iter().map(|it| it.3).collect()),
    ]
}

fn added_columns(added: &[Message]) -> [Column<'_>; 14] {
    [
        Column::Uuid(added.iter().map(|it| it.id.into()).collect()),
        Column::Uuid(added.iter().map(|it| it.conversation.into()).collect()),
        Column::Uuid(added.iter().map(|it| it.owner.into()).collect()),
        Column::Text(added.iter().map(|it| it.role.as_str()).collect()),
        Column::Text(added.iter().map(|it| it.content.as_str()).collect()),
        Column::OptionalText(added.iter().map(|it| it.model.as_deref()).collect()),
        Column::OptionalUuid(added.iter().map(|it| it.answers.map(Uuid::from)).collect()),
        Column::Text(added.iter().map(|it| it.state.as_str()).collect()),
        Column::OptionalText(added.iter().map(|it| it.reason.as_deref()).collect()),
        Column::Int(added.iter().map(|it| it.usage.prompt_tokens.into()).collect()),
        Column::Int(added.iter().map(|it| it.usage.completion_tokens.into()).collect()),
        Column::Int(added.iter().map(|it| it.usage.estimated.into()).collect()),
        Column::Int(added.iter().map(|it| it.created_at.as_micros()).collect()),
        Column::Int(added.iter().map(|it| it.position.get()).collect()),
    ]
}

fn ended_columns(ended: &[(MessageId, Ended)]) -> [Column<'_>; 8] {
    let usage = || ended.iter().map(|(_, it)| it.said.usage);
    [
        Column::Uuid(ended.iter().map(|(id, _)| (*id).into()).collect()),
        Column::Text(ended.iter().map(|(_, it)| it.said.text.as_str()).collect()),
        Column::Text(ended.iter().map(|(_, it)| it.said.model.as_str()).collect()),
        Column::Text(ended.iter().map(|(_, it)| it.state.as_str()).collect()),
        Column::OptionalText(ended.iter().map(|(_, it)| it.reason).collect()),
        Column::Int(usage().map(|it| it.prompt_tokens.into()).collect()),
        Column::Int(usage().map(|it| it.completion_tokens.into()).collect()),
        Column::Int(usage().map(|it| it.estimated.into()).collect()),
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

const START: &str = "\
    with started (id, owner, at, position) as ({rows}) \
    insert into conversations (id, owner, messages, created_at, updated_at, position) \
    select id, owner, 0, at, at, position from started";

const ADD: &str = "\
    with added (id, conversation, owner, role, content, model, answers, state, reason, prompt_tokens, \
                completion_tokens, estimated, created_at, position) as ({rows}) \
    insert into messages (id, conversation, owner, role, content, model, answers, state, reason, prompt_tokens, \
                          completion_tokens, estimated, created_at, position) \
    select id, conversation, owner, role, content, model, answers, state, reason, prompt_tokens, completion_tokens, \
           estimated, created_at, position from added";

const END: &str = "\
    with ended (id, content, model, state, reason, prompt_tokens, completion_tokens, estimated) as ({rows}) \
    update messages set content = ended.content, model = ended.model, state = ended.state, reason = ended.reason, \
        prompt_tokens = ended.prompt_tokens, completion_tokens = ended.completion_tokens, \
        estimated = ended.estimated \
    from ended where messages.id = ended.id";

const GROW: &str = "\
    with grown (id, count, at) as ({rows}) \
    update conversations set messages = messages + grown.count, \
        updated_at = case when updated_at < grown.at then grown.at else updated_at end \
    from grown where conversations.id = grown.id";

const COUNT: &str = "\
    with counted (id, count) as ({rows}) \
    insert into owners (id, messages) select id, count from counted where true \
    on conflict (id) do update set messages = owners.messages + excluded.messages";
