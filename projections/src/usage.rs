//! `usage`: what replies cost, summed for each user, model and day, and for each key and day.

mod apply;
mod keys;
mod query;

use std::time::Duration;

use domain::Event;
use domain::chat;
use domain::chat::conversation::ConversationEvent;
use domain::chat::message::MessageEvent;
use domain::chat::reply::Ending;
use domain::ids::UserId;
use domain::token::notice::NoticeEvent;
use sqlx::FromRow;
use store::read_model::{Spec, Tables};
use store::{StoreError, Tx};

use crate::{Change, Projection};
pub use query::{Days, Payer, days, known};

/// The read model of what replies cost.
#[derive(Debug)]
pub struct Usage;

impl Projection for Usage {
    const SPEC: Spec = Spec { name: "usage", tables: Tables::Same(include_str!("../../migrations/usage/tables.sql")) };
    /// Sums by the day can be a moment late, and every turn would cost a transaction.
    const PACE: Duration = Duration::from_millis(50);

    fn concerns(event: &Event) -> bool {
        spent(event).is_some() || keys::concerns(event)
    }

    async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
        apply::apply(tx, changes).await
    }
}

/// One model's replies to somebody on one day.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ModelDay {
    /// Days since 1970, in UTC.
    pub day: i64,
    pub model: String,
    #[sqlx(flatten)]
    pub sums: Sums,
}

/// What some replies, titles and vectors come to. No sum is ever below zero, and none leaves its range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Sums {
    pub replies: i64,
    pub completed: i64,
    pub stopped: i64,
    pub interrupted: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    /// Of how many replies the tokens are estimates.
    pub estimated: i64,
    /// In millionths of a US dollar; `None` where nothing had a price.
    pub cost_micros: Option<i64>,
}

impl Sums {
    /// What was spent on no reply.
    fn of_tokens(usage: chat::Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens.into(),
            completion_tokens: usage.completion_tokens.into(),
            cost_micros: usage.cost_micros.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX)),
            ..Self::default()
        }
    }

    fn of(ending: Ending, usage: chat::Usage) -> Self {
        let one = Self { replies: 1, estimated: usage.estimated.into(), ..Self::of_tokens(usage) };
        match ending {
            Ending::Completed { .. } => Self { completed: 1, ..one },
            Ending::Stopped => Self { stopped: 1, ..one },
            Ending::Interrupted { .. } => Self { interrupted: 1, ..one },
        }
    }

    pub fn add(&mut self, other: Self) {
        *self = Self {
            replies: self.replies.saturating_add(other.replies),
            completed: self.completed.saturating_add(other.completed),
            stopped: self.stopped.saturating_add(other.stopped),
            interrupted: self.interrupted.saturating_add(other.interrupted),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            estimated: self.estimated.saturating_add(other.estimated),
            cost_micros: match (self.cost_micros, other.cost_micros) {
                (Some(one), Some(more)) => Some(one.saturating_add(more)),
                (one, more) => one.or(more),
            },
        };
    }
}

/// Who spent what on which model, where the event is the end of a reply, a title, or a vector.
fn spent(event: &Event) -> Option<(UserId, &str, Sums)> {
    match event {
        Event::Message(_, MessageEvent::MessageEmbedded { owner, embedding, usage }) => {
            Some((*owner, embedding.model.as_str(), Sums::of_tokens((*usage)?)))
        }
        Event::Message(_, event) => spent_on_reply(event),
        Event::Conversation(
            _,
            ConversationEvent::ConversationTitled { owner, model, usage, .. }
            | ConversationEvent::TitleWasted { owner, model, usage },
        ) => Some((*owner, model, Sums::of_tokens(*usage))),
        Event::Notice(_, NoticeEvent::TextsEmbedded { by, model, usage }) => {
            Some((*by, model, Sums::of_tokens(*usage)))
        }
        Event::Conversation(..)
        | Event::User(..)
        | Event::Claim(..)
        | Event::Token(..)
        | Event::ApiKey(..)
        | Event::Notice(..)
        | Event::Attachment(..) => None,
    }
}

fn spent_on_reply(event: &MessageEvent) -> Option<(UserId, &str, Sums)> {
    let owner = match event {
        MessageEvent::ReplyGiven { owner, model, .. } => {
            return Some((*owner, model, Sums { replies: 1, completed: 1, ..Sums::default() }));
        }
        // One without an owner was the rule bot's, and cost nothing.
        MessageEvent::ReplyCompleted { owner, .. } => (*owner)?,
        MessageEvent::ReplyStopped { owner, .. } | MessageEvent::ReplyInterrupted { owner, .. } => *owner,
        MessageEvent::MessagePosted { .. }
        | MessageEvent::ReplyRequested { .. }
        // It was paid for elsewhere.
        | MessageEvent::MessageImported { .. }
        | MessageEvent::MessageRated { .. }
        | MessageEvent::MessageEmbedded { .. }
        | MessageEvent::MessageDeleted { .. } => return None,
    };
    let (ending, said) = event.ending()?;
    Some((owner, &said.model, Sums::of(ending, said.usage)))
}

#[cfg(test)]
mod tests {
    use super::Sums;

    #[test]
    fn a_cost_stays_in_its_range_and_is_unknown_until_something_has_a_price() {
        let cost = |cost_micros| Sums { cost_micros, ..Sums::default() };
        for (one, other, both) in [
            (None, None, None),
            (None, Some(0), Some(0)),
            (Some(3), None, Some(3)),
            (Some(3), Some(4), Some(7)),
            (Some(i64::MAX - 1), Some(1), Some(i64::MAX)),
            (Some(i64::MAX), Some(i64::MAX), Some(i64::MAX)),
        ] {
            let mut sums = cost(one);
            sums.add(cost(other));
            assert_eq!(sums, cost(both));
        }
    }
}
