//! `/v1/embeddings`: vectors of texts that nobody keeps, by the built-in model or by the provider's that embeds messages.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::chat::Usage as Took;
use domain::chat::reply::Interruption;
use domain::limit::Amount;
use domain::values::{EmbeddingModel, Vector};
use projections::embeddings::{self, DIMENSION, MODEL};
use replies::{Unembedded, Vectors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::fresh_id;

use crate::app::App;
use crate::extract::{Body, Caller};
use crate::limits::{self, Asks, go_on};
use crate::problem::{EmbeddingProblem, MISSING, Problem, ReplyProblem};

#[derive(Deserialize)]
pub(crate) struct EmbeddingsRequest {
    model: Option<String>,
    input: Option<Value>,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Embeddings {
    object: &'static str,
    data: Vec<Item>,
    model: String,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    /// Four bytes each, the lowest first.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u32,
    total_tokens: u32,
}

#[derive(Clone, Copy)]
enum Format {
    Float,
    Base64,
}

/// Who reads texts.
pub(super) enum Reader {
    BuiltIn,
    /// `provider/model`.
    Provider(String),
}

/// How many texts may come at once, and how many a provider is asked for at once.
const MOST: usize = 2_048;
const PORTION: usize = 64;

impl Reader {
    /// The one that has this name, with its provider's before it or without.
    pub(super) fn named(app: &App, name: &str) -> Option<Self> {
        if name == MODEL {
            return Some(Self::BuiltIn);
        }
        let full = app.providers.embedding_model().map(EmbeddingModel::as_str)?;
        let is_bare = || full.split_once('/').is_some_and(|(_, model)| model == name);
        (full == name || is_bare()).then(|| Self::Provider(full.to_owned()))
    }

    /// How many numbers its vectors have, where that is known before it is asked.
    fn dimension(&self, app: &App) -> Option<usize> {
        match self {
            Self::BuiltIn => Some(DIMENSION),
            Self::Provider(_) => app.providers.embedding_dimension().and_then(|known| usize::try_from(known).ok()),
        }
    }
}

/// A request that can be fulfilled.
struct Asked {
    reader: Reader,
    texts: Vec<String>,
    format: Format,
    dimensions: Option<usize>,
}

impl EmbeddingsRequest {
    fn parse(self, app: &App) -> Result<Asked, Problem> {
        let name = self.model.ok_or_else(|| Problem::invalid("model", MISSING))?;
        let reader = Reader::named(app, &name).ok_or_else(|| unknown(app))?;
        if let Some(known) = reader.dimension(app) {
            fits(self.dimensions, known)?;
        }
        let format = match self.encoding_format.as_deref() {
            None | Some("float") => Format::Float,
            Some("base64") => Format::Base64,
            Some(_) => return Err(Problem::invalid("encoding_format", "must be float or base64")),
        };
        let texts = texts(self.input.ok_or_else(|| Problem::invalid("input", MISSING))?)?;
        Ok(Asked { reader, texts, format, dimensions: self.dimensions })
    }
}

fn unknown(app: &App) -> Problem {
    let provider = app.providers.embedding_model().map(EmbeddingModel::as_str);
    ReplyProblem::UnknownModel(provider.into_iter().chain([MODEL]).map(str::to_owned).collect()).into()
}

/// One text, or a list; numbers of tokens say nothing to another model than theirs.
fn texts(input: Value) -> Result<Vec<String>, Problem> {
    let list = match input {
        Value::Array(list) if (1..=MOST).contains(&list.len()) => list,
        Value::Array(_) => return Err(Problem::invalid("input", format!("must have from 1 to {MOST} texts"))),
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
    };
    let text = |value: Value| match value.as_str() {
        Some("") => Err(Problem::invalid("input", "must not be empty")),
        Some(text) => Ok(text.to_owned()),
        None => Err(Problem::invalid("input", "must be a text or a list of texts")),
    };
    list.into_iter().map(text).collect()
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<EmbeddingsRequest>,
) -> Result<Json<Embeddings>, Problem> {
    let Asked { reader, texts, format, dimensions } = request.parse(&app)?;
    let (model, vectors, tokens) = match reader {
        Reader::BuiltIn => {
            count(&app, &caller).await?;
            (MODEL.to_owned(), built_in(texts).await?, 0)
        }
        Reader::Provider(model) => {
            let asking = of_provider(app, caller, model.clone(), texts);
            let read = go_on(asking).await.unwrap_or(Err(Problem::Internal("texts were not read")));
            let Read { vectors, usage } = read?;
            fits(dimensions, vectors.first().map_or(0, Vec::len))?;
            (model, vectors, usage.prompt_tokens)
        }
    };
    let embedding = |(index, vector)| Item { object: "embedding", index, embedding: Numbers::of(vector, format) };
    let data = vectors.into_iter().enumerate().map(embedding).collect();
    Ok(Json(Embeddings { object: "list", data, model, usage: Usage { prompt_tokens: tokens, total_tokens: tokens } }))
}

/// What is no turn counts for the address alone, and before the work is done.
async fn count(app: &App, caller: &Caller) -> Result<(), Problem> {
    match limits::owed() {
        Some(_) => app.admit_request(&caller.metadata).await,
        None => Ok(()),
    }
}

/// A model has the dimension that it has.
fn fits(asked: Option<usize>, given: usize) -> Result<(), Problem> {
    match asked {
        Some(asked) if asked != given => Err(Problem::invalid("dimensions", format!("must be {given} for this model"))),
        Some(_) | None => Ok(()),
    }
}

impl Numbers {
    fn of(vector: Vec<f32>, format: Format) -> Self {
        match format {
            Format::Float => Self::Float(vector),
            Format::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Self::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// It takes no model's tokens; of long texts it takes a while.
async fn built_in(texts: Vec<String>) -> Result<Vec<Vec<f32>>, Problem> {
    let reading = move || texts.iter().map(|text| embeddings::embed(text)).collect::<Vec<_>>();
    let read = tokio::task::spawn_blocking(reading).await.map_err(|_| Problem::Internal("texts were not read"))?;
    let vectors = read.into_iter().enumerate().map(|(index, vector)| {
        vector.ok_or_else(|| Problem::invalid("input", format!("number {} must have a word", index + 1)))
    });
    vectors.collect()
}

/// What a provider has made of texts, and what that took.
#[derive(Default)]
struct Read {
    vectors: Vec<Vec<f32>>,
    usage: Took,
}

/// Whoever goes meanwhile pays for it all the same.
async fn of_provider(app: App, caller: Caller, model: String, texts: Vec<String>) -> Result<Read, Problem> {
    let tokens = about(&texts);
    let micros = app.providers.cost(&model, tokens, 0).unwrap_or(0);
    let asks = Asks { reply: fresh_id(), amount: Amount { tokens: tokens.into(), micros } };
    let paid = app.admit_asking(&caller, asks).await?;
    let mut read = Read::default();
    let asked = read.all(&app, &texts).await;
    read.usage.cost_micros = app.providers.cost(&model, read.usage.prompt_tokens, 0);
    app.settle_texts(&caller, paid, &model, read.usage).await;
    asked.map_err(failed)?;
    Ok(read)
}

impl Read {
    async fn all(&mut self, app: &App, texts: &[String]) -> Result<(), Unembedded> {
        for portion in texts.chunks(PORTION) {
            let Vectors { vectors, prompt_tokens, .. } = app.providers.embed(portion).await?;
            self.vectors.extend(vectors.iter().map(Vector::numbers));
            let took = prompt_tokens.unwrap_or_else(|| about(portion));
            self.usage.prompt_tokens = self.usage.prompt_tokens.saturating_add(took);
            self.usage.estimated |= prompt_tokens.is_none();
        }
        Ok(())
    }
}

fn about(texts: &[String]) -> u32 {
    texts.iter().map(|text| replies::tokens(text)).fold(0, u32::saturating_add)
}

fn failed(unembedded: Unembedded) -> Problem {
    let failure = unembedded.failure();
    tracing::warn!(reason = failure.reason.as_str(), detail = failure.detail, "texts were not embedded");
    let retry_after = failure.retry_after.map(|it| u32::try_from(it.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX));
    match (&unembedded, failure.reason) {
        (_, Interruption::RateLimited) => EmbeddingProblem::TextsLimited(retry_after),
        (Unembedded::Refused(_), _) => EmbeddingProblem::TextsRefused,
        (Unembedded::Failed(_), _) => EmbeddingProblem::TextsFailed,
    }
    .into()
}
