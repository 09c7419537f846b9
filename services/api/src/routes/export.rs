//! `/api/v1/export`, `/api/v1/sessions/{id}/export`: a copy of what was said, to keep or to bring in elsewhere.

mod form;
mod walk;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::ids::ConversationId;
use domain::token::notice::NoticeEvent;
use futures::stream::try_unfold;
use projections::history;
use serde::Deserialize;

use super::positioned::MinPosition;
use super::posting::parse_session;
use crate::app::App;
use crate::commands::Note;
use crate::extract::{Caller, Parameters};
use crate::problem::Problem;
use form::Form;
use walk::Walk;

#[derive(Deserialize)]
pub(super) struct ExportParameters {
    format: Option<String>,
}

impl ExportParameters {
    fn form(&self) -> Result<Form, Problem> {
        match self.format.as_deref() {
            None | Some("json") => Ok(Form::Json),
            Some("markdown") => Ok(Form::Markdown),
            Some(_) => Err(Problem::invalid("format", "must be json or markdown")),
        }
    }
}

/// One conversation.
pub(super) async fn session(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
    Parameters(asked): Parameters<ExportParameters>,
) -> Result<Response, Problem> {
    let (id, form) = (parse_session(&id)?, asked.form()?);
    least.await_in(&app, &app.read_models.history, caller.user).await?.none()?;
    let kept = history::conversation(app.read_models.history.db(), caller.user, id).await?;
    kept.ok_or(Problem::NoSuchSession)?;
    export(&app, &caller, form, Some(id), vec![id]).await
}

/// All that somebody has, as it is listed when the export begins; the one that changed first comes first.
pub(super) async fn everything(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(asked): Parameters<ExportParameters>,
) -> Result<Response, Problem> {
    let form = asked.form()?;
    least.await_in(&app, &app.read_models.history, caller.user).await?.none()?;
    let all = history::conversations_of(app.read_models.history.db(), caller.user).await?;
    export(&app, &caller, form, None, all.into_iter().map(|it| it.conversation).collect()).await
}

async fn export(
    app: &App,
    caller: &Caller,
    form: Form,
    one: Option<ConversationId>,
    all: Vec<ConversationId>,
) -> Result<Response, Problem> {
    // It is noted before anything is told.
    let note = Note(NoticeEvent::DataExported { by: caller.user, conversation: one });
    let done = app.executor.execute(&note, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    let walk = Walk::new(app.read_models.history.clone(), caller.user, form, all, app.clock().now());
    Ok(form.file().of(try_unfold(walk, Walk::next)).await?)
}
