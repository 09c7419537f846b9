//! What was gathered as a few statements.

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId};
use store::bulk::{self, Column};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::apply::{Gathered, Place, Said};
use super::text::Index;

pub(super) async fn all(tx: &mut Tx, gathered: Gathered) -> Result<(), StoreError> {
    let Gathered { started, awaited, said } = gathered;
    let columns = [
        Column::Uuid(started.iter().map(|(id, ..)| (*id).into()).collect()),
        Column::Uuid(started.iter().map(|(_, owner, _)| (*owner).into()).collect()),
        Column::Int(started.iter().map(|(.., favourite)| (*favourite).into()).collect()),
    ];
    bulk::execute(tx, START, &columns).await?;
    let columns = [
        Column::Uuid(awaited.keys().copied().map(Uuid::from).collect()),
        Column::Uuid(awaited.values().map(|place| place.conversation.into()).collect()),
        Column::Uuid(awaited.values().map(|place| place.owner.into()).collect()),
        Column::Int(awaited.values().map(|place| place.at.as_micros()).collect()),
    ];
    bulk::execute(tx, AWAIT, &columns).await?;
    add(tx, &said).await
}

/// Adds messages to what can be found, where there is a word in them.
async fn add(tx: &mut Tx, said: &[Said]) -> Result<(), StoreError> {
    let index = Index::in_tx(tx);
    let indexed =
        said.iter().map(|it| (it, index.words(it.place.owner, &it.text))).filter(|(_, words)| !words.is_empty());
    let indexed: Vec<_> = indexed.map(|(it, words)| (it, words, index.tags(it.place.conversation, it.role))).collect();
    let said = || indexed.iter().map(|(it, ..)| *it);
    let positions = Column::Int(said().map(|it| it.position).collect());
    let words = Column::Text(indexed.iter().map(|(_, words, _)| words.as_str()).collect());
    let tags = Column::Text(indexed.iter().map(|(.., tags)| tags.as_str()).collect());
    let mut columns = vec![
        positions.clone(),
        Column::Uuid(said().map(|it| it.id.into()).collect()),
        Column::Uuid(said().map(|it| it.place.conversation.into()).collect()),
        Column::Uuid(said().map(|it| it.place.owner.into()).collect()),
        Column::Text(said().map(|it| it.role.as_str()).collect()),
        Column::Text(said().map(|it| it.text.as_str()).collect()),
        Column::Int(said().map(|it| it.place.at.as_micros()).collect()),
    ];
    // Postgres has the words in the row itself, SQLite in a table of their own.
    match tx {
        Tx::Postgres(_) => {
            columns.extend([words, tags]);
            bulk::execute(tx, ADD_WITH_WORDS, &columns).await
        }
        Tx::Sqlite(_) => {
            bulk::execute(tx, ADD, &columns).await?;
            bulk::execute(tx, ADD_WORDS, &[positions, words, tags]).await
        }
    }
}

/// What was begun in an earlier batch and has now ended.
pub(super) async fn take_awaited(tx: &mut Tx, id: MessageId) -> Result<Option<Place>, StoreError> {
    let sql = "delete from search_awaited where id = $1 returning conversation, owner, created_at";
    let row: Option<(Uuid, Uuid, i64)> =
        on_tx!(tx, connection => sqlx::query_as(sql).bind(Uuid::from(id)).fetch_optional(connection).await)?;
    let place = |(conversation, owner, at): (Uuid, Uuid, i64)| Place {
        conversation: conversation.into(),
        owner: owner.into(),
        at: Timestamp::from_micros(at),
    };
    Ok(row.map(place))
}

pub(super) async fn favour(tx: &mut Tx, id: ConversationId, favourite: bool) -> Result<(), StoreError> {
    let sql = "update search_conversations set favourite = $2 where id = $1";
    let (id, favourite) = (Uuid::from(id), i64::from(favourite));
    Ok(on_tx!(tx, connection => {
        sqlx::query(sql).bind(id).bind(favourite).execute(connection).await.map(|_| ())
    })?)
}

pub(super) async fn delete_message(tx: &mut Tx, id: MessageId) -> Result<(), StoreError> {
    delete(tx, "id", id.into()).await
}

pub(super) async fn delete_conversation(tx: &mut Tx, id: ConversationId) -> Result<(), StoreError> {
    delete(tx, "conversation", id.into()).await?;
    let sql = "delete from search_conversations where id = $1";
    Ok(on_tx!(tx, connection => sqlx::query(sql).bind(Uuid::from(id)).execute(connection).await.map(|_| ()))?)
}

async fn delete(tx: &mut Tx, key: &str, id: Uuid) -> Result<(), StoreError> {
    if let Tx::Sqlite(tx) = tx {
        let words =
            format!("delete from search_words where rowid in (select position from search_messages where {key} = $1)");
        sqlx::query(&words).bind(id).execute(&mut **tx).await?;
    }
    for table in ["search_messages", "search_awaited"] {
        let sql = format!("delete from {table} where {key} = $1");
        on_tx!(tx, connection => sqlx::query(&sql).bind(id).execute(connection).await.map(|_| ()))?;
    }
    Ok(())
}

const START: &str = "\
    with started (id, owner, favourite) as ({rows}) \
    insert into search_conversations (id, owner, favourite) select id, owner, favourite from started";

const AWAIT: &str = "\
    with awaited (id, conversation, owner, at) as ({rows}) \
    insert into search_awaited (id, conversation, owner, created_at) select id, conversation, owner, at from awaited";

const ADD: &str = "\
    with said (position, id, conversation, owner, role, content, at) as ({rows}) \
    insert into search_messages (position, id, conversation, owner, role, content, created_at) \
    select position, id, conversation, owner, role, content, at from said";

const ADD_WORDS: &str = "\
    with said (position, words, tags) as ({rows}) \
    insert into search_words (rowid, words, tags) select position, words, tags from said";

const ADD_WITH_WORDS: &str = "\
    with said (position, id, conversation, owner, role, content, at, words, tags) as ({rows}) \
    insert into search_messages (position, id, conversation, owner, role, content, created_at, words) \
    select position, id, conversation, owner, role, content, at, (words || tags)::tsvector from said";
