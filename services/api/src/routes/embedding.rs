//! `/api/v1/messages/{id}/embedding`: a client's own vector of a message.

use axum::extract::{Path, State};
use domain::chat::message::MessageCommand;
use domain::ids::{MessageId, UserId};
use domain::values::{Embedding, EmbeddingModel, Vector};
use projections::embeddings::{self, NearestError};
use serde::{Deserialize, Serialize};
use store::StoreError;

use super::positioned::{Done, MinPosition};
use super::replies::parse;
use crate::app::App;
use crate::commands::ChangeMessage;
use crate::extract::{Body, Caller};
use crate::problem::{EmbeddingProblem, Fields, Problem};

#[derive(Deserialize)]
pub(super) struct EmbeddingRequest {
    model: String,
    vector: Vec<f32>,
}

#[derive(Serialize)]
pub(super) struct Embedded {
    message_id: MessageId,
    model: String,
    dimension: usize,
}

pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
    Body(request): Body<EmbeddingRequest>,
) -> Result<Done<Embedded>, Problem> {
    let id = parse(&id)?;
    let mut fields = Fields::default();
    let model = fields.take("model", EmbeddingModel::try_from(request.model));
    let vector = fields.take("vector", Vector::new(&request.vector));
    let (Some(model), Some(vector)) = (model, vector) else { return Err(fields.into_problem()) };
    not_ours(&app, &model)?;
    let embedded = Embedded { message_id: id, model: model.as_str().to_owned(), dimension: request.vector.len() };
    least.await_in(&app, &app.read_models.embeddings, caller.user).await?;
    fits(&app, caller.user, model.as_str(), request.vector.len()).await?;
    let command = MessageCommand::Embed { by: caller.user, embedding: Embedding { model, vector }, usage: None };
    let change = ChangeMessage { by: caller.user, id, command };
    let done = app.executor.execute(&change, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    Ok(Done(done.position, embedded))
}

/// Whose vectors the service makes itself nobody else may give.
fn not_ours(app: &App, model: &EmbeddingModel) -> Result<(), Problem> {
    let message = if model.as_str() == embeddings::MODEL {
        "is what the built-in model is called"
    } else if Some(model) == app.providers.embedding_model() {
        "is what the provider's model is called that embeds messages here"
    } else {
        return Ok(());
    };
    Err(Problem::invalid("model", message))
}

/// Whether the caller's vectors of a model have so many numbers, or there are none.
pub(super) async fn fits(app: &App, user: UserId, model: &str, dimension: usize) -> Result<(), Problem> {
    if is_other(app, user, model, dimension).await? { Err(EmbeddingProblem::Mismatch.into()) } else { Ok(()) }
}

/// Whether the caller has vectors of a model, and they have more numbers or fewer.
pub(super) async fn is_other(app: &App, user: UserId, model: &str, dimension: usize) -> Result<bool, StoreError> {
    embeddings::has_others_alone(app.read_models.embeddings.db(), user, model, dimension).await
}

impl From<NearestError> for Problem {
    fn from(error: NearestError) -> Self {
        match error {
            NearestError::ExtensionMissing => EmbeddingProblem::ExtensionMissing.into(),
            NearestError::Store(error) => Self::Store(error),
        }
    }
}
