//! `embeddings`: where messages stand among others, as models see them: the built-in one, and those of clients.

mod apply;
mod blocks;
mod embedder;
mod fold;
mod lacking;
mod postgres;
mod query;
mod sketch;
mod sqlite;
mod vector;

use std::time::Duration;

use domain::Event;
use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use store::read_model::{Spec, Tables};
use store::{StoreError, Tx};

use crate::history::Role;
use crate::{Change, Projection};
pub use embedder::{DIMENSION, MODEL, embed};
pub use lacking::lacking;
pub use query::{Cursor, MOST, Near, Nearest, NearestError, Page, has_others_alone, nearest, page};
pub use vector::unit;

/// The read model of vectors.
#[derive(Debug)]
pub struct Embeddings;

impl Projection for Embeddings {
    const SPEC: Spec = Spec {
        name: "embeddings",
        tables: Tables::Each {
            sqlite: include_str!("../../migrations/embeddings/sqlite.sql"),
            postgres: include_str!("../../migrations/embeddings/postgres.sql"),
        },
    };
    /// Who searches for what was just said waits a moment; every turn would cost a transaction.
    const PACE: Duration = Duration::from_millis(50);

    fn concerns(event: &Event) -> bool {
        match event {
            Event::Message(_, event) => !matches!(event, MessageEvent::MessageRated { .. }),
            Event::Conversation(_, event) => concerns_conversation(event),
            Event::User(..)
            | Event::Claim(..)
            | Event::Token(..)
            | Event::ApiKey(..)
            | Event::Notice(..)
            | Event::Attachment(..) => false,
        }
    }

    async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
        apply::apply(tx, changes).await
    }
}

const fn concerns_conversation(event: &ConversationEvent) -> bool {
    match event {
        ConversationEvent::ConversationStarted { features, .. } => features.favourite,
        ConversationEvent::ConversationFavourited { .. }
        | ConversationEvent::ConversationUnfavourited { .. }
        | ConversationEvent::ConversationDeleted { .. } => true,
        ConversationEvent::ConversationRenamed { .. }
        | ConversationEvent::ConversationUnnamed { .. }
        | ConversationEvent::ConversationTitled { .. }
        | ConversationEvent::TitleWasted { .. }
        | ConversationEvent::ConversationArchived { .. }
        | ConversationEvent::ConversationRestored { .. }
        | ConversationEvent::BranchChosen { .. }
        | ConversationEvent::ConversationImported { .. } => false,
    }
}

/// Which message a vector is of, and what it can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    message: MessageId,
    conversation: ConversationId,
    owner: UserId,
    role: Role,
    created_at: i64,
    position: i64,
}
