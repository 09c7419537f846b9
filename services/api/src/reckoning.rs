//! About how much a reply will take, before anybody asks for it: what budgets are asked to reserve. Where nobody has one, nobody
//! wants to know.

use domain::chat::message::Message;
use domain::chat::place::After;
use domain::chat::reply::Asked;
use domain::ids::{MessageId, UserId};
use projections::history;
use store::StoreError;

use crate::app::App;
use crate::commands::{Answerer, AskAgain, PostMessage, Room, home_of};
use crate::limits::Asks;

/// The reply to a new message, if a model is asked for one.
pub(crate) async fn of_post(app: &App, command: &PostMessage) -> Result<Option<Asks>, StoreError> {
    let Answerer::Model(asked) = &command.answerer else { return Ok(None) };
    if !app.limits.have_budgets() {
        return Ok(None);
    }
    let said = command.earlier.iter().map(|it| it.body.as_str()).chain([command.body.as_str()]);
    let new = said.map(replies::tokens).fold(0, u32::saturating_add);
    let told = match followed(app, command).await? {
        Some(message) => told(app, command.by, message).await?,
        None => told_always(app),
    };
    Ok(Some(Asks::of(&app.providers, command.ids.reply, told.saturating_add(new), asked)))
}

/// Another reply to a message, if a model is asked for it.
pub(crate) async fn of_another(app: &App, again: &AskAgain) -> Result<Option<Asks>, StoreError> {
    if !app.limits.have_budgets() {
        return Ok(None);
    }
    let Message::Replied { reply, asked: before } = app.executor.look(again.reply).await? else { return Ok(None) };
    let asked: Option<Asked> = match &again.answerer {
        Some(Answerer::Model(asked)) => Some(asked.clone()),
        Some(Answerer::Rules | Answerer::Nobody) => None,
        None => before,
    };
    let Some(asked) = asked else { return Ok(None) };
    Ok(Some(Asks::of(&app.providers, again.id, told(app, again.by, reply.to).await?, &asked)))
}

/// What a new message will follow, as far as the history knows by now.
async fn followed(app: &App, command: &PostMessage) -> Result<Option<MessageId>, StoreError> {
    let conversation = match (command.after, command.room) {
        (After::Message(parent), _) => return Ok(Some(parent)),
        (After::Nothing, _) | (After::Latest, Room::New) => return Ok(None),
        (After::Latest, Room::In(id)) => id,
        (After::Latest, Room::Home) => home_of(&app.executor, command.by).await?,
    };
    let found = history::conversation(app.read_models.history.db(), command.by, conversation).await?;
    Ok(found.and_then(|conversation| conversation.leaf))
}

/// How much a model is told that hears of a conversation up to a message.
async fn told(app: &App, owner: UserId, last: MessageId) -> Result<u32, StoreError> {
    let history = app.read_models.history.db();
    match history::message(history, owner, last).await? {
        Some(message) => app.context.tokens(history, message).await,
        None => Ok(told_always(app)),
    }
}

fn told_always(app: &App) -> u32 {
    app.context.system.as_deref().map_or(0, replies::tokens)
}
