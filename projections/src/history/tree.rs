//! A conversation's tree: where it branches, which branch is shown, and what becomes of it when a message goes.
//!
//! A message comes after what it follows, so that along a branch positions grow: the shown part of a tree is a page by position.

use domain::ids::{ConversationId, MessageId, UserId};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::Message;
use super::columns;

/// Adds a message wherever it stands; the conversation goes on there.
pub(super) async fn graft(tx: &mut Tx, message: Message) -> Result<(), StoreError> {
    let (conversation, id) = (message.conversation, message.id);
    columns::add(tx, message).await?;
    show(tx, conversation, id).await
}

/// The conversation goes on below this message, by the way that was last gone there.
pub(super) async fn choose(tx: &mut Tx, conversation: ConversationId, through: MessageId) -> Result<(), StoreError> {
    let last_gone = "with recursive down (id, depth) as ( \
                         select id, 0 from messages where id = $1 and conversation = $2 \
                         union all \
                         select coalesce(it.next, \
                                         (select id from messages where parent = it.id order by position desc limit 1)), \
                                depth + 1 \
                         from down join messages it on it.id = down.id \
                         where exists (select 1 from messages where parent = it.id) \
                     ) select id from down order by depth desc limit 1";
    let (through, place) = (Uuid::from(through), Uuid::from(conversation));
    let leaf: Option<Uuid> = on_tx!(tx, connection => {
        sqlx::query_scalar(last_gone).bind(through).bind(place).fetch_optional(connection).await
    })?;
    match leaf {
        Some(leaf) => show(tx, conversation, leaf.into()).await,
        // It went while it was chosen.
        None => Ok(()),
    }
}

/// Shows the branch that ends at `leaf` in place of the one that was shown: they differ only below where they part.
async fn show(tx: &mut Tx, conversation: ConversationId, leaf: MessageId) -> Result<(), StoreError> {
    let hidden_part = "with recursive up (id, parent, shown, position) as ( \
                           select id, parent, shown, position from messages where id = $1 \
                           union all \
                           select it.id, it.parent, it.shown, it.position \
                           from messages it join up on it.id = up.parent where up.shown = 0 \
                       ) select id, parent, shown, position from up";
    let (place, leaf) = (Uuid::from(conversation), Uuid::from(leaf));
    let up: Vec<(Uuid, Option<Uuid>, i64, i64)> =
        on_tx!(tx, connection => sqlx::query_as(hidden_part).bind(leaf).fetch_all(connection).await)?;
    let (hidden, shown): (Vec<_>, Vec<_>) = up.into_iter().partition(|(_, _, shown, _)| *shown == 0);
    let parted = shown.iter().map(|(.., position)| *position).max().unwrap_or(-1);
    let hide = "update messages set shown = 0 where conversation = $1 and position > $2 and shown = 1";
    on_tx!(tx, connection => {
        sqlx::query(hide).bind(place).bind(parted).execute(connection).await.map(|_| ())
    })?;
    let ways: Vec<_> = hidden.iter().filter_map(|(id, parent, ..)| Some(((*parent)?, *id))).collect();
    columns::show(tx, hidden.into_iter().map(|(id, ..)| id).collect(), &ways).await?;
    let end = "update conversations set leaf = $2 where id = $1";
    Ok(on_tx!(tx, connection => sqlx::query(end).bind(place).bind(leaf).execute(connection).await.map(|_| ()))?)
}

/// Takes a message out; what followed it follows what it had followed. A conversation that ended with it goes on beside it.
pub(super) async fn remove(
    tx: &mut Tx,
    id: MessageId,
    conversation: ConversationId,
    owner: UserId,
) -> Result<(), StoreError> {
    let (id, place) = (Uuid::from(id), Uuid::from(conversation));
    let parent = "select parent from messages where id = $1 and conversation = $2";
    let parent: Option<Uuid> = on_tx!(tx, connection => {
        sqlx::query_scalar(parent).bind(id).bind(place).fetch_optional(connection).await
    })?
    .flatten();
    let bypass = [
        "update messages set next = (select next from messages where id = $1) where next = $1 and conversation = $2",
        "update messages set parent = (select parent from messages where id = $1) where parent = $1 and conversation = $2",
        "delete from messages where id = $1 and conversation = $2",
    ];
    for sql in bypass {
        on_tx!(tx, connection => sqlx::query(sql).bind(id).bind(place).execute(connection).await.map(|_| ()))?;
    }
    columns::uncount(tx, conversation, owner).await?;
    let ended = "update conversations set leaf = null where id = $1 and leaf = $2";
    let ended: u64 = on_tx!(tx, connection => {
        sqlx::query(ended).bind(place).bind(id).execute(connection).await.map(|done| done.rows_affected())
    })?;
    if ended == 0 {
        return Ok(());
    }
    let first = "select id from messages where conversation = $1 and parent is null order by position desc limit 1";
    let beside = match parent {
        Some(parent) => Some(parent),
        None => on_tx!(tx, connection => sqlx::query_scalar(first).bind(place).fetch_optional(connection).await)?,
    };
    match beside {
        Some(beside) => choose(tx, conversation, beside.into()).await,
        None => Ok(()),
    }
}
