//! `GET /chat/history`: the last so many messages, or all that there are, streamed.

use axum::extract::State;
use axum::response::Response;
use domain::values::Invalid;
use futures::stream::try_unfold;
use projections::history::{self, Cursor, HistoryQuery, Message, Role, Scope};
use serde::Deserialize;
use store::{Position, ReadModel, StoreError};

use super::{BOT, ShownMessage, signature};
use crate::app::App;
use crate::commands::home_of;
use crate::extract::{Caller, Parameters};
use crate::problem::{Fields, Problem};
use crate::routes::download;
use crate::routes::positioned::MinPosition;
use crate::time::Time;

#[derive(Deserialize)]
pub(crate) struct HistoryParameters {
    limit: Option<i64>,
}

impl HistoryParameters {
    /// `None` for all that there are.
    fn newest(&self) -> Result<Option<u32>, Problem> {
        let mut fields = Fields::default();
        let is_fit = |limit: i64| u32::try_from(limit).ok().filter(|limit| *limit > 0);
        let newest = self.limit.map(|limit| is_fit(limit).ok_or(Invalid::OutOfRange(1, u32::MAX))).transpose();
        fields.take("limit", newest).ok_or_else(|| fields.into_problem())
    }
}

pub(crate) async fn look_back(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(asked): Parameters<HistoryParameters>,
) -> Result<Response, Problem> {
    let newest = asked.newest()?;
    let lag = least.await_in(&app, &app.read_models.history, caller.user).await?;
    let home = home_of(&app.executor, caller.user).await?;
    // The newest one, to begin with: nothing that comes after it belongs to this answer.
    let all = HistoryQuery {
        owner: caller.user,
        scope: Scope::Conversation(home),
        cursor: Cursor::Newest,
        skip: 0,
        limit: 1,
    };
    let walk = Walk::begin(app.read_models.history.clone(), all, newest, signature(&app, caller.user).await?).await?;
    Ok(download::json(try_unfold(walk, Walk::next), lag).await?)
}

/// Goes through a conversation from some message on, and gives it out a page at a time.
struct Walk {
    model: ReadModel,
    /// All but where the next page begins.
    query: HistoryQuery,
    username: String,
    total: u64,
    after: Position,
    /// What is said from now on belongs to no answer that has begun.
    upto: Position,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Begin,
    Within,
    End,
}

/// How many messages are read at once.
const MESSAGES: u32 = 64;

impl Walk {
    async fn begin(
        model: ReadModel,
        query: HistoryQuery,
        last: Option<u32>,
        username: String,
    ) -> Result<Self, StoreError> {
        let page = history::page(model.db(), query).await?;
        let (total, newest) = page.map_or((0, None), |page| (page.total, page.messages.last().map(|it| it.position)));
        let upto = newest.unwrap_or(Position::START);
        // The one before which nothing is shown.
        let first = match last {
            Some(last) => history::stretch(model.db(), HistoryQuery { skip: last - 1, ..query }).await?.pop(),
            None => None,
        };
        let after = first.map_or(Position::START, |first| Position::new(first.position.get() - 1));
        let query = HistoryQuery { limit: MESSAGES, ..query };
        Ok(Self { model, query, username, total, after, upto, at: At::Begin })
    }

    /// The next page, and what comes after it.
    async fn next(mut self) -> Result<Option<(String, Self)>, StoreError> {
        let mut page = match self.at {
            At::Begin => "{\"messages\":[".to_owned(),
            At::Within => String::new(),
            At::End => return Ok(None),
        };
        let mut some = Vec::new();
        if self.after < self.upto {
            let query = HistoryQuery { cursor: Cursor::After(self.after), ..self.query };
            some = history::stretch(self.model.db(), query).await?;
            some.retain(|message| message.position <= self.upto);
        }
        self.after = some.last().map_or(self.upto, |last| last.position);
        for message in some {
            if self.at == At::Within {
                page.push(',');
            }
            self.at = At::Within;
            page.push_str(&self.shown(message)?);
        }
        if self.after < self.upto {
            return Ok(Some((page, self)));
        }
        page.push_str("],\"total\":");
        page.push_str(&self.total.to_string());
        page.push('}');
        self.at = At::End;
        Ok(Some((page, self)))
    }

    fn shown(&self, message: Message) -> Result<String, StoreError> {
        let role = match message.role {
            Role::User => "user",
            Role::Bot | Role::Assistant | Role::System => BOT,
        };
        let (username, timestamp) = (self.username.clone(), Time(message.created_at));
        let shown = ShownMessage { id: message.id, username, role, content: message.content, timestamp };
        serde_json::to_string(&shown).map_err(|_| StoreError::Corrupt("a message can't be written".into()))
    }
}
