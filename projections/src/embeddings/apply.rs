//! Events in: a batch is folded in memory, then written in a few statements; what goes is taken out by itself, in its turn.

use domain::Event;
use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use sqlx::FromRow;
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::fold::{Fold, Given};
use super::{MODEL, Place, postgres, sqlite};
use crate::Change;

/// What is taken out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gone {
    Message(MessageId),
    Conversation(ConversationId),
}

impl Gone {
    /// The column that names it, and its id.
    pub(super) fn key(self) -> (&'static str, Uuid) {
        match self {
            Self::Message(id) => ("message", id.into()),
            Self::Conversation(id) => ("conversation", id.into()),
        }
    }
}

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        match &change.event {
            Event::Conversation(id, event) => {
                if let ConversationEvent::ConversationDeleted { .. } = event {
                    write(tx, std::mem::take(&mut fold)).await?;
                    remove(tx, Gone::Conversation(*id)).await?;
                }
                conversation_changed(tx, *id, event).await?;
            }
            Event::Message(id, MessageEvent::MessageDeleted { .. }) => {
                write(tx, std::mem::take(&mut fold)).await?;
                remove(tx, Gone::Message(*id)).await?;
            }
            Event::Message(id, event) => {
                if fold.has_given(*id, event) {
                    write(tx, std::mem::take(&mut fold)).await?;
                }
                fold.message(change, *id, event);
            }
            Event::User(..)
            | Event::Claim(..)
            | Event::Token(..)
            | Event::ApiKey(..)
            | Event::Notice(..)
            | Event::Attachment(..) => {}
        }
    }
    write(tx, fold).await
}

async fn conversation_changed(tx: &mut Tx, id: ConversationId, event: &ConversationEvent) -> Result<(), StoreError> {
    match event {
        ConversationEvent::ConversationStarted { owner, features } if features.favourite => {
            favourite(tx, id, *owner).await
        }
        ConversationEvent::ConversationFavourited { owner } => favourite(tx, id, *owner).await,
        ConversationEvent::ConversationUnfavourited { .. } | ConversationEvent::ConversationDeleted { .. } => {
            let (sql, id) = ("delete from vector_favourites where conversation = $1", Uuid::from(id));
            Ok(on_tx!(tx, connection => sqlx::query(sql).bind(id).execute(connection).await.map(|_| ()))?)
        }
        ConversationEvent::ConversationStarted { .. }
        | ConversationEvent::ConversationRenamed { .. }
        | ConversationEvent::ConversationUnnamed { .. }
        | ConversationEvent::ConversationTitled { .. }
        | ConversationEvent::TitleWasted { .. }
        | ConversationEvent::ConversationArchived { .. }
        | ConversationEvent::ConversationRestored { .. }
        | ConversationEvent::BranchChosen { .. }
        | ConversationEvent::ConversationImported { .. } => Ok(()),
    }
}

async fn favourite(tx: &mut Tx, id: ConversationId, owner: UserId) -> Result<(), StoreError> {
    let sql = "insert into vector_favourites (conversation, owner) values ($1, $2) on conflict do nothing";
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    Ok(on_tx!(tx, connection => sqlx::query(sql).bind(id).bind(owner).execute(connection).await.map(|_| ()))?)
}

async fn remove(tx: &mut Tx, gone: Gone) -> Result<(), StoreError> {
    match tx {
        Tx::Postgres(_) => postgres::remove(tx, gone).await,
        Tx::Sqlite(_) => sqlite::remove(tx, gone).await,
    }
}

/// A row to be written; without a vector, where a message has no text, or none yet.
pub(super) struct Row<'a> {
    pub(super) place: Place,
    pub(super) model: &'a str,
    pub(super) vector: Option<Vec<f32>>,
}

impl Row<'_> {
    pub(super) fn vector(&self) -> Option<&[f32]> {
        self.vector.as_deref()
    }

    pub(super) fn dimension(&self) -> i64 {
        self.vector().map_or(0, |vector| i64::try_from(vector.len()).unwrap_or(0))
    }
}

/// Vectors stay in the order in which they came.
async fn write(tx: &mut Tx, fold: Fold<'_>) -> Result<(), StoreError> {
    let Fold { mut placed, given, .. } = fold;
    let mut rows = Vec::with_capacity(given.len());
    let mut silent = placed.clone();
    for Given { message, model, vector } in given {
        if let std::collections::btree_map::Entry::Vacant(unknown) = placed.entry(message)
            && let Some(place) = find(tx, message).await?
        {
            unknown.insert(place);
        }
        // A message that is gone has no place.
        let Some(place) = placed.get(&message).copied() else { continue };
        if model == MODEL {
            silent.remove(&message);
        }
        rows.push(Row { place, model, vector: Some(vector) });
    }
    rows.extend(silent.into_values().map(|place| Row { place, model: MODEL, vector: None }));
    match tx {
        Tx::Postgres(_) => postgres::write(tx, &rows).await,
        Tx::Sqlite(_) => sqlite::write(tx, &rows).await,
    }
}

#[derive(FromRow)]
struct Found {
    conversation: Uuid,
    owner: Uuid,
    role: String,
    created_at: i64,
    position: i64,
}

/// The place of a message that came in an earlier batch.
async fn find(tx: &mut Tx, message: MessageId) -> Result<Option<Place>, StoreError> {
    let sql = "select conversation, owner, role, created_at, position from vectors where message = $1 and model = $2";
    let id = Uuid::from(message);
    let found: Option<Found> =
        on_tx!(tx, connection => sqlx::query_as(sql).bind(id).bind(MODEL).fetch_optional(connection).await)?;
    found.map(|found| found.place(message)).transpose()
}

impl Found {
    fn place(self, message: MessageId) -> Result<Place, StoreError> {
        let role = self.role.parse().map_err(|_| StoreError::Corrupt("a vector of nobody's words".into()))?;
        let (conversation, owner) = (self.conversation.into(), self.owner.into());
        Ok(Place { message, conversation, owner, role, created_at: self.created_at, position: self.position })
    }
}
