//! `/v1/models`: what can be asked for, be it for words or for vectors.

use axum::Json;
use axum::extract::{Path, State};
use domain::values::EmbeddingModel;
use projections::embeddings::MODEL;
use replies::{Choice, ModelShown};
use serde::Serialize;

use super::OURS;
use super::embeddings::Reader;
use crate::app::App;
use crate::extract::Caller;
use crate::problem::Problem;

#[derive(Serialize)]
pub(crate) struct Models {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
pub(crate) struct Model {
    id: String,
    object: &'static str,
    /// Nobody knows.
    created: i64,
    owned_by: String,
}

impl Model {
    fn of(id: String, provider: Option<&str>) -> Self {
        Self { id, object: "model", created: 0, owned_by: provider.unwrap_or(OURS).to_owned() }
    }
}

pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Json<Models> {
    let named = |id: String| {
        let provider = app.providers.of_model(&id).map(str::to_owned);
        Model::of(id, provider.as_deref())
    };
    let answering = app.providers.models().into_iter().map(|ModelShown { id, .. }| id);
    let embedding = app.providers.embedding_model().map(EmbeddingModel::as_str).into_iter().chain([MODEL]);
    let data = answering.chain(embedding.map(str::to_owned)).map(named).collect();
    Json(Models { object: "list", data })
}

/// One that could be asked for, though it be not listed: a provider may take any name.
pub(crate) async fn show(
    State(app): State<App>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Model>, Problem> {
    let full = match Reader::named(&app, &id) {
        Some(Reader::BuiltIn) => MODEL.to_owned(),
        Some(Reader::Provider(model)) => model,
        None => match app.providers.choose_named(&id)? {
            Choice::Rules => return Ok(Json(Model::of(id, None))),
            Choice::Model(model) => model,
        },
    };
    let provider = app.providers.of_model(&full);
    Ok(Json(Model::of(id, provider)))
}
