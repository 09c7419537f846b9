//! `search`: what was said, found by the words that are in it.

mod apply;
mod query;
mod rank;
mod snippet;
mod terms;
mod text;
mod window;
mod words;
mod write;

use std::time::Duration;

use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Timestamp};
use store::read_model::{Spec, Tables};
use store::{Position, StoreError, Tx};

use crate::history::Role;
use crate::{Change, Projection};
pub use query::{has_conversation, hits, search};
pub use snippet::snippet;
pub use terms::{Terms, UnfitQuery};

/// The read model of what can be found.
#[derive(Debug)]
pub struct Search;

impl Projection for Search {
    const SPEC: Spec = Spec {
        name: "search",
        tables: Tables::Each {
            sqlite: include_str!("../../migrations/search/sqlite.sql"),
            postgres: include_str!("../../migrations/search/postgres.sql"),
        },
    };
    /// Whoever looks for what they have just said waits as long; for each message by itself, an index costs more.
    const PACE: Duration = Duration::from_millis(50);

    fn concerns(event: &Event) -> bool {
        match event {
            Event::Conversation(_, event) => matches!(
                event,
                ConversationEvent::ConversationStarted { .. }
                    | ConversationEvent::ConversationFavourited { .. }
                    | ConversationEvent::ConversationUnfavourited { .. }
                    | ConversationEvent::ConversationDeleted { .. }
            ),
            Event::Message(_, event) => {
                !matches!(event, MessageEvent::MessageRated { .. } | MessageEvent::MessageEmbedded { .. })
            }
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

/// Among which of somebody's messages to look for what.
#[derive(Debug, Clone)]
pub struct Sought {
    pub terms: Terms,
    pub among: Among,
}

/// Some of somebody's messages.
#[derive(Debug, Clone)]
pub struct Among {
    pub owner: UserId,
    pub conversation: Option<ConversationId>,
    pub role: Option<Role>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// In conversations that are favourites, or in those that are not.
    pub favourite: Option<bool>,
}

/// What was found, the best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// After which to go on; `None` where that was all.
    pub next: Option<After>,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub message: MessageId,
    pub conversation: ConversationId,
    pub role: Role,
    /// The part of it that was looked for, as HTML.
    pub snippet: String,
    /// The more, the better; it says nothing about another query's.
    pub score: f64,
    pub created_at: Timestamp,
    pub position: Position,
}

/// The place of the last hit of a page.
///
/// Hits are ranked within windows: the newest thousand, the thousand before them, and so on. Thus the first page costs the
/// same however much there is to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct After {
    /// The window's bounds, neither of them in it.
    pub above: Position,
    pub below: Position,
    pub score: f64,
    pub position: Position,
}
