//! A folded batch as a few statements.

use std::collections::BTreeMap;

use domain::chat::message::Rating;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::ConversationName;
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::Message;
use super::fold::{Added, Ended, Finished, Fold, Grown, Started};

pub(super) async fn write(tx: &mut Tx, fold: Fold) -> Result<(), StoreError> {
    start(tx, &fold.started).await?;
    bulk::execute(tx, ADD, &added_columns(&fold.added)).await?;
    bulk::execute(tx, END, &ended_columns(&fold.ended)).await?;
    grow(tx, &fold.grown).await?;
    finish(tx, &fold.finished).await?;
    bulk::execute(tx, COUNT, &counted_columns(&fold.owners)).await
}

/// Adds one message that does not go on where its conversation has got to.
pub(super) async fn add(tx: &mut Tx, message: Message) -> Result<(), StoreError> {
    let (conversation, owner) = (message.conversation, message.owner);
    let grown = BTreeMap::from([(conversation, Grown::by(&message))]);
    bulk::execute(tx, ADD, &added_columns(&[Added { message, follows_leaf: false }])).await?;
    grow(tx, &grown).await?;
    bulk::execute(tx, COUNT, &counted_columns(&BTreeMap::from([(owner, 1)]))).await
}

/// Shows messages, and remembers of what they follow which way was gone, where there is another.
pub(super) async fn show(tx: &mut Tx, messages: Vec<Uuid>, ways: &[(Uuid, Uuid)]) -> Result<(), StoreError> {
    let [parents, children] = [|way: &(Uuid, Uuid)| way.0, |way: &(Uuid, Uuid)| way.1];
    let ways = [Column::Uuid(ways.iter().map(parents).collect()), Column::Uuid(ways.iter().map(children).collect())];
    bulk::execute(tx, REMEMBER, &ways).await?;
    bulk::execute(tx, SHOW, &[Column::Uuid(messages)]).await
}

/// A conversation has one message less.
pub(super) async fn uncount(tx: &mut Tx, conversation: ConversationId, owner: UserId) -> Result<(), StoreError> {
    bulk::execute(tx, UNCOUNT, &[Column::Uuid(vec![conversation.into()])]).await?;
    bulk::execute(tx, COUNT, &counted_columns(&BTreeMap::from([(owner, -1)]))).await
}

async fn start(tx: &mut Tx, started: &[Started]) -> Result<(), StoreError> {
    let names = || started.iter().map(|it| it.features.name.as_ref().map(ConversationName::as_str));
    let keys: Vec<Option<String>> = names().map(|name| name.map(str::to_lowercase)).collect();
    let columns = [
        Column::Uuid(started.iter().map(|it| it.id.into()).collect()),
        Column::Uuid(started.iter().map(|it| it.owner.into()).collect()),
        Column::OptionalText(names().collect()),
        Column::OptionalText(keys.iter().map(Option::as_deref).collect()),
        Column::Int(started.iter().map(|it| it.features.favourite.into()).collect()),
        Column::Int(started.iter().map(|it| it.features.archived.into()).collect()),
        Column::Int(started.iter().map(|it| it.at.as_micros()).collect()),
        Column::Int(started.iter().map(|it| it.position).collect()),
    ];
    bulk::execute(tx, START, &columns).await
}

fn added_columns(added: &[Added]) -> [Column<'_>; 19] {
    let messages = || added.iter().map(|it| &it.message);
    [
        Column::Uuid(messages().map(|it| it.id.into()).collect()),
        Column::Uuid(messages().map(|it| it.conversation.into()).collect()),
        Column::Uuid(messages().map(|it| it.owner.into()).collect()),
        Column::Text(messages().map(|it| it.role.as_str()).collect()),
        Column::Text(messages().map(|it| it.content.as_str()).collect()),
        Column::OptionalText(messages().map(|it| it.model.as_deref()).collect()),
        Column::OptionalUuid(messages().map(|it| it.parent.map(Uuid::from)).collect()),
        Column::Int(added.iter().map(|it| it.follows_leaf.into()).collect()),
        Column::Int(messages().map(|it| it.shown.into()).collect()),
        Column::OptionalUuid(messages().map(|it| it.answers.map(Uuid::from)).collect()),
        Column::Text(messages().map(|it| it.state.as_str()).collect()),
        Column::OptionalText(messages().map(|it| it.reason.as_deref()).collect()),
        Column::Int(messages().map(|it| it.usage.prompt_tokens.into()).collect()),
        Column::Int(messages().map(|it| it.usage.completion_tokens.into()).collect()),
        Column::Int(messages().map(|it| it.usage.estimated.into()).collect()),
        Column::OptionalText(messages().map(|it| it.rating.map(Rating::as_str)).collect()),
        Column::Int(messages().map(|it| it.created_at.as_micros()).collect()),
        Column::Int(messages().map(|it| it.updated_at.as_micros()).collect()),
        Column::Int(messages().map(|it| it.position.get()).collect()),
    ]
}

fn ended_columns(ended: &[(MessageId, Ended)]) -> [Column<'_>; 9] {
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
        Column::Int(ended.iter().map(|(_, it)| it.at.as_micros()).collect()),
    ]
}

async fn grow(tx: &mut Tx, grown: &BTreeMap<ConversationId, Grown>) -> Result<(), StoreError> {
    let keys: Vec<Option<String>> =
        grown.values().map(|it| it.title.as_ref().map(|title| title.to_lowercase())).collect();
    let columns = [
        Column::Uuid(grown.keys().copied().map(Uuid::from).collect()),
        Column::Int(grown.values().map(|it| it.count).collect()),
        Column::Int(grown.values().map(|it| it.at.as_micros()).collect()),
        Column::Int(grown.values().map(|it| it.touched).collect()),
        Column::Uuid(grown.values().map(|it| it.leaf.into()).collect()),
        Column::OptionalText(grown.values().map(|it| it.title.as_deref()).collect()),
        Column::OptionalText(keys.iter().map(Option::as_deref).collect()),
    ];
    bulk::execute(tx, GROW, &columns).await
}

async fn finish(tx: &mut Tx, finished: &BTreeMap<ConversationId, Finished>) -> Result<(), StoreError> {
    let titles = || finished.values().map(|it| it.kept.title.as_ref().map(ConversationName::as_str));
    let keys: Vec<Option<String>> = titles().map(|title| title.map(str::to_lowercase)).collect();
    let columns = [
        Column::Uuid(finished.keys().copied().map(Uuid::from).collect()),
        Column::OptionalText(titles().collect()),
        Column::OptionalText(keys.iter().map(Option::as_deref).collect()),
        Column::Int(finished.values().map(|it| it.kept.created_at.as_micros()).collect()),
        Column::Int(finished.values().map(|it| it.kept.updated_at.as_micros()).collect()),
        Column::Int(finished.values().map(|it| it.touched).collect()),
    ];
    bulk::execute(tx, FINISH, &columns).await
}

fn counted_columns(owners: &BTreeMap<UserId, i64>) -> [Column<'_>; 2] {
    [Column::Uuid(owners.keys().copied().map(Uuid::from).collect()), Column::Int(owners.values().copied().collect())]
}

const START: &str = "\
    with started (id, owner, name, name_key, favourite, archived, at, position) as ({rows}) \
    insert into conversations (id, owner, name, name_key, favourite, archived, version, messages, created_at, \
                               updated_at, touched) \
    select id, owner, name, name_key, favourite, archived, 1, 0, at, at, position from started";

const ADD: &str = "\
    with added (id, conversation, owner, role, content, model, parent, follows_leaf, shown, answers, state, reason, \
                prompt_tokens, completion_tokens, estimated, rating, created_at, updated_at, position) as ({rows}) \
    insert into messages (id, conversation, owner, role, content, model, parent, shown, answers, state, reason, \
                          prompt_tokens, completion_tokens, estimated, rating, created_at, updated_at, position) \
    select id, conversation, owner, role, content, model, \
           case when follows_leaf = 0 then parent \
                else (select leaf from conversations where conversations.id = conversation) end, \
           shown, answers, state, reason, prompt_tokens, completion_tokens, estimated, rating, created_at, updated_at, \
           position \
    from added";

const END: &str = "\
    with ended (id, content, model, state, reason, prompt_tokens, completion_tokens, estimated, at) as ({rows}) \
    update messages set content = ended.content, model = ended.model, state = ended.state, reason = ended.reason, \
        prompt_tokens = ended.prompt_tokens, completion_tokens = ended.completion_tokens, \
        estimated = ended.estimated, updated_at = ended.at \
    from ended where messages.id = ended.id";

const GROW: &str = "\
    with grown (id, count, at, touched, leaf, title, title_key) as ({rows}) \
    update conversations set messages = messages + grown.count, touched = grown.touched, leaf = grown.leaf, \
        updated_at = case when updated_at < grown.at then grown.at else updated_at end, \
        title = coalesce(conversations.title, grown.title), \
        title_key = coalesce(conversations.title_key, grown.title_key) \
    from grown where conversations.id = grown.id";

const FINISH: &str = "\
    with finished (id, title, title_key, created_at, updated_at, touched) as ({rows}) \
    update conversations set title = coalesce(finished.title, conversations.title), \
        title_key = coalesce(finished.title_key, conversations.title_key), created_at = finished.created_at, \
        updated_at = finished.updated_at, touched = finished.touched \
    from finished where conversations.id = finished.id";

const COUNT: &str = "\
    with counted (id, count) as ({rows}) \
    insert into owners (id, messages) select id, count from counted where true \
    on conflict (id) do update set messages = owners.messages + excluded.messages";

const SHOW: &str = "\
    with on_branch (id) as ({rows}) update messages set shown = 1 from on_branch where messages.id = on_branch.id";

const REMEMBER: &str = "\
    with gone (parent, child) as ({rows}) \
    update messages set next = gone.child from gone where messages.id = gone.parent \
        and exists (select 1 from messages other where other.parent = gone.parent and other.id <> gone.child)";

const UNCOUNT: &str = "\
    with shorter (id) as ({rows}) \
    update conversations set messages = messages - 1 from shorter where conversations.id = shorter.id";
