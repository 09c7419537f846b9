//! `/api/v1/messages/{id}/attachments`, `/api/v1/attachments/{id}`: files that belong to messages.

mod download;
mod upload;

use axum::extract::{Path, State};
use domain::Timestamp;
use domain::chat::attachment::File;
use domain::ids::{AttachmentId, BytesId, MessageId};
use projections::history::{self, Attachment};
use serde::Serialize;
use store::Position;

pub(super) use download::download;
pub(super) use upload::upload;

use super::positioned::{Lag, MinPosition, NoContent, Seen};
use super::replies;
use crate::app::App;
use crate::commands::{AttachError, RemoveAttachment};
use crate::extract::Caller;
use crate::problem::{FileProblem, Problem, ReplyProblem};
use crate::time::Time;

/// A file as it is listed.
#[derive(Serialize)]
pub(super) struct ShownAttachment {
    id: AttachmentId,
    message_id: MessageId,
    name: String,
    media_type: &'static str,
    size: u64,
    sha256: String,
    created_at: Time,
}

impl ShownAttachment {
    fn of(id: AttachmentId, message_id: MessageId, file: File, at: Timestamp) -> Self {
        let File { name, media_type, size, digest } = file;
        let (name, sha256, created_at) = (name.into(), digest.into(), Time(at));
        Self { id, message_id, name, media_type: media_type.as_str(), size, sha256, created_at }
    }
}

impl From<Attachment> for ShownAttachment {
    fn from(it: Attachment) -> Self {
        Self::of(it.id, it.message, it.file, it.created_at)
    }
}

fn parse(id: &str) -> Result<AttachmentId, Problem> {
    id.parse().map_err(|_| FileProblem::NoSuchAttachment.into())
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
) -> Result<Seen<Vec<ShownAttachment>>, Problem> {
    let (lag, all) = of_message(&app, &caller, least, replies::parse(&id)?).await?;
    Ok(Seen(lag, all.into_iter().map(ShownAttachment::from).collect()))
}

/// The files of a message of the caller's.
async fn of_message(
    app: &App,
    caller: &Caller,
    least: MinPosition,
    message: MessageId,
) -> Result<(Lag, Vec<Attachment>), Problem> {
    let history = &app.read_models.history;
    let lag = least.await_in(app, history, caller.user).await?;
    history::message(history.db(), caller.user, message).await?.ok_or(ReplyProblem::NoSuchMessage)?;
    Ok((lag, history::attachments_of(history.db(), message).await?))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<NoContent, Problem> {
    take_away(&app, caller, parse(&id)?).await.map(NoContent)
}

async fn take_away(app: &App, caller: Caller, id: AttachmentId) -> Result<Option<Position>, Problem> {
    let command = RemoveAttachment { id, by: caller.user };
    let done = app.executor.execute(&command, caller.metadata).await.map_err(|error| match error {
        AttachError::Store(error) => Problem::Store(error),
        AttachError::KeyReused
        | AttachError::Gone
        | AttachError::Message(_)
        | AttachError::Conversation(_)
        | AttachError::Attachment(_) => FileProblem::NoSuchAttachment.into(),
    })?;
    app.own_writes.note(caller.user, done.position);
    forget(app, done.output).await;
    Ok(done.position)
}

/// Deletes a file's bytes now; where that fails they are swept later.
async fn forget(app: &App, id: BytesId) {
    if let Err(error) = app.files.delete(id).await {
        tracing::warn!(cause = store::in_full(&error), "a file of what is gone stays for a while");
    }
}
