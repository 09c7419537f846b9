//! `GET /conversations`: a page of conversations with all that was said in them, streamed.

use std::vec;

use axum::extract::State;
use axum::response::Response;
use domain::ids::{ConversationId, UserId};
use futures::stream::try_unfold;
use projections::history::{self, Conversation, ConversationsQuery, Cursor, HistoryQuery, Message, Role, Scope};
use serde::{Deserialize, Serialize};
use store::{Position, ReadModel, StoreError};

use crate::app::App;
use crate::extract::{Caller, Parameters};
use crate::problem::{Fields, Problem};
use crate::routes::positioned::MinPosition;
use crate::routes::{download, pages};
use crate::time::Time;

#[derive(Deserialize)]
pub(crate) struct ListParameters {
    limit: Option<u32>,
    offset: Option<u32>,
}

pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(asked): Parameters<ListParameters>,
) -> Result<Response, Problem> {
    let mut fields = Fields::default();
    let limit = pages::limit(&mut fields, asked.limit).ok_or_else(|| fields.into_problem())?;
    let model = app.read_models.history.clone();
    let lag = least.await_in(&app, &model, caller.user).await?;
    let query = ConversationsQuery {
        owner: caller.user,
        favourite: None,
        archived: None,
        text: None,
        before: Position::new(i64::MAX),
        skip: asked.offset.unwrap_or(0),
        limit,
    };
    let left = history::conversations(model.db(), &query).await?.conversations.into_iter();
    let walk = Walk { model, owner: caller.user, left, at: At::Begin };
    Ok(download::json(try_unfold(walk, Walk::next), lag).await?)
}

/// Goes through conversations and their messages, and gives them out a page at a time.
struct Walk {
    model: ReadModel,
    owner: UserId,
    left: vec::IntoIter<Conversation>,
    at: At,
}

enum At {
    Begin,
    /// Behind a conversation.
    Between,
    /// Before the next message that comes after a position, in a conversation that has had some.
    Within {
        open: Open,
        is_first: bool,
    },
    End,
}

/// A conversation that is being written.
#[derive(Clone, Copy)]
struct Open {
    id: ConversationId,
    after: Position,
}

#[derive(Serialize)]
struct ShownMessage<'a> {
    role: &'static str,
    content: &'a str,
    timestamp: Time,
}

/// A conversation, but for its messages.
#[derive(Serialize)]
struct Head {
    id: ConversationId,
    created_at: Time,
    updated_at: Time,
}

/// How many messages are read at once, and how much is given out at once, in bytes.
const MESSAGES: u32 = 64;
const STRIDE: usize = 64 << 10;

impl Walk {
    /// The next page, and what comes after it.
    async fn next(mut self) -> Result<Option<(String, Self)>, StoreError> {
        let mut page = String::new();
        while page.len() < STRIDE && !matches!(self.at, At::End) {
            self.at = match std::mem::replace(&mut self.at, At::End) {
                At::Begin => self.open(&mut page, "[")?,
                At::Between => self.open(&mut page, ",")?,
                At::Within { open, is_first } => self.messages(&mut page, open, is_first).await?,
                At::End => At::End,
            };
        }
        Ok((!page.is_empty()).then_some((page, self)))
    }

    /// Begins the next conversation, if there is one.
    fn open(&mut self, page: &mut String, before: &str) -> Result<At, StoreError> {
        let Some(next) = self.left.next() else {
            page.push_str(if before == "[" { "[]" } else { "]" });
            return Ok(At::End);
        };
        let head = Head { id: next.id, created_at: Time(next.created_at), updated_at: Time(next.updated_at) };
        page.push_str(before);
        page.push_str(written(&head)?.trim_end_matches('}'));
        page.push_str(",\"messages\":[");
        Ok(At::Within { open: Open { id: next.id, after: Position::START }, is_first: true })
    }

    async fn messages(&self, page: &mut String, open: Open, is_first: bool) -> Result<At, StoreError> {
        let (scope, cursor) = (Scope::Branch(open.id), Cursor::After(open.after));
        let query = HistoryQuery { owner: self.owner, scope, cursor, skip: 0, limit: MESSAGES };
        let some = history::stretch(self.model.db(), query).await?;
        for (number, message) in some.iter().enumerate() {
            if number > 0 || !is_first {
                page.push(',');
            }
            page.push_str(&shown(message)?);
        }
        match some.last() {
            Some(last) if some.len() == MESSAGES as usize => {
                let open = Open { after: last.position, ..open };
                Ok(At::Within { open, is_first: false })
            }
            Some(_) | None => {
                page.push_str("]}");
                Ok(At::Between)
            }
        }
    }
}

fn shown(message: &Message) -> Result<String, StoreError> {
    // As models are told it.
    let role = match message.role {
        Role::User => "user",
        Role::Bot | Role::Assistant => "assistant",
        Role::System => "system",
    };
    written(&ShownMessage { role, content: &message.content, timestamp: Time(message.created_at) })
}

fn written(what: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(what).map_err(|_| StoreError::Corrupt("a conversation can't be written".into()))
}
