//! `mode: semantic`: what is near to a vector; `mode: hybrid`: that together with what has the words.

use domain::ids::UserId;
use domain::values::{EmbeddingModel, Invalid, Vector};
use projections::embeddings::{self, Cursor, MODEL, Nearest, Page};
use projections::search::{self, Among, Hit, Sought, Terms};
use store::Position;

use super::fusion::{Fused, fuse};
use crate::app::App;
use crate::problem::{EmbeddingProblem, FieldError, Problem};
use crate::routes::embedding::{fits, is_other};

/// Near to what to look.
pub(super) enum Direction {
    /// To a vector that is there.
    Known(Toward),
    /// To what a provider's model makes of the query.
    Asked(String),
    /// The same, of a search that its provider has failed: to what the built-in model makes of it.
    StandIn(String),
}

/// A vector, and among which model's to look.
pub(super) struct Toward {
    model: String,
    vector: Vec<f32>,
}

/// What was found, behind what the next page begins, and whose vectors were compared.
pub(super) struct Nearby<N> {
    pub(super) hits: Vec<Hit>,
    pub(super) next: Option<N>,
    pub(super) model: String,
    /// Not the ones that were meant.
    pub(super) is_by_stand_in: bool,
}

impl Direction {
    /// A client's own vector, or what reads the query: the provider's model where there is one, or the one that is named.
    pub(super) fn of(
        query: Option<&str>,
        vector: Option<&[f32]>,
        model: Option<&str>,
        provider: Option<&EmbeddingModel>,
    ) -> Result<Self, Vec<FieldError>> {
        let unfit = |field, message: String| vec![FieldError { field, message }];
        let provider = provider.map(EmbeddingModel::as_str);
        match (vector, model) {
            (Some(vector), Some(model)) => Toward::own(vector, model).map(Self::Known),
            (Some(_), None) => Err(unfit("model", "must be named with its vector".to_owned())),
            (None, named) if provider.is_some() && named.is_none_or(|named| Some(named) == provider) => {
                let query = query.filter(|query| !query.trim().is_empty());
                let query = query.ok_or_else(|| unfit("query", "must not be blank".to_owned()))?;
                Ok(Self::Asked(query.to_owned()))
            }
            (None, Some(model)) if model != MODEL => {
                let readers = provider.map_or_else(|| MODEL.to_owned(), |provider| format!("{provider} and {MODEL}"));
                Err(unfit("model", format!("needs a vector: texts are read by {readers} alone")))
            }
            (None, _) => {
                let toward = query.and_then(Toward::built_in);
                let toward = toward.ok_or_else(|| unfit("query", "must have a word".to_owned()))?;
                Ok(Self::Known(toward))
            }
        }
    }

    /// Where to look; `None` where a query has no word that the built-in model could stand in with.
    async fn toward(self, app: &App, owner: UserId) -> Result<Option<Toward>, Problem> {
        match self {
            Self::Known(toward) => {
                fits(app, owner, &toward.model, toward.vector.len()).await?;
                Ok(Some(toward))
            }
            Self::Asked(query) => Toward::asked(app, owner, &query).await.map(Some),
            Self::StandIn(query) => Ok(Toward::built_in(&query)),
        }
    }

    /// The query, where a provider's model is to read it, as long as nobody has seen a page of what it found.
    fn may_be_stood_in_for(&self, after: Option<Fused>) -> Option<String> {
        match self {
            Self::Asked(query) => Some(query.clone()).filter(|_| after.is_none()),
            Self::Known(_) | Self::StandIn(_) => None,
        }
    }
}

impl Toward {
    fn own(vector: &[f32], model: &str) -> Result<Self, Vec<FieldError>> {
        let unfit = |field, error: Invalid| FieldError { field, message: error.to_string() };
        let model = EmbeddingModel::try_from(model.to_owned()).map_err(|it| unfit("model", it));
        let vector = Vector::new(vector).and_then(|it| unit(&it)).map_err(|it| unfit("vector", it));
        match (model, vector) {
            (Ok(model), Ok(vector)) => Ok(Self { model: model.into(), vector }),
            (model, vector) => Err(model.err().into_iter().chain(vector.err()).collect()),
        }
    }

    fn built_in(query: &str) -> Option<Self> {
        embeddings::embed(query).map(|vector| Self { model: MODEL.to_owned(), vector })
    }

    async fn asked(app: &App, owner: UserId, query: &str) -> Result<Self, Problem> {
        let model = app.providers.embedding_model().map(|model| model.as_str().to_owned()).unwrap_or_default();
        let vector = app.providers.embed_query(query).await.map_err(|unembedded| {
            let failure = unembedded.failure();
            tracing::warn!(reason = failure.reason.as_str(), detail = failure.detail, "a query was not embedded");
            EmbeddingProblem::ProviderFailed
        })?;
        let vector = unit(&vector).map_err(|_| EmbeddingProblem::ProviderFailed)?;
        if is_other(app, owner, &model, vector.len()).await? {
            tracing::warn!(model, dimension = vector.len(), "vectors of a query and of messages have other lengths");
            return Err(EmbeddingProblem::ModelChanged.into());
        }
        Ok(Self { model, vector })
    }

    const fn nearest<'a>(&'a self, among: &'a Among, limit: u32) -> Nearest<'a> {
        Nearest { among, model: self.model.as_str(), vector: self.vector.as_slice(), limit }
    }
}

fn unit(vector: &Vector) -> Result<Vec<f32>, Invalid> {
    embeddings::unit(&vector.numbers()).ok_or(Invalid::NoDirection)
}

/// A page of what is near; each one's score is the cosine.
pub(super) async fn semantic(
    app: &App,
    direction: Direction,
    among: &Among,
    terms: Option<&Terms>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Nearby<Cursor>, Problem> {
    let toward = direction.toward(app, among.owner).await?.ok_or(EmbeddingProblem::ProviderFailed)?;
    let nearest = toward.nearest(among, limit);
    let Page { found, next } = embeddings::page(app.read_models.embeddings.db(), &nearest, after).await?;
    let scored: Vec<(Position, f64)> = found.iter().map(|near| (near.position, 1.0 - near.distance)).collect();
    let hits = search::hits(app.read_models.search.db(), terms, &scored).await?;
    Ok(Nearby { hits, next, model: toward.model, is_by_stand_in: false })
}

/// How far down each of the two lists counts.
const DEPTH: u32 = 200;

/// A page of what is near or has the words, or both. Where a provider fails, the built-in model stands in for its own.
pub(super) async fn hybrid(
    app: &App,
    direction: Direction,
    sought: &Sought,
    after: Option<Fused>,
    limit: usize,
) -> Result<Nearby<Fused>, Problem> {
    let stand_in = direction.may_be_stood_in_for(after);
    let mut is_by_stand_in = matches!(direction, Direction::StandIn(_));
    let toward = match (direction.toward(app, sought.among.owner).await, stand_in) {
        (Err(Problem::Embedding(problem)), Some(query)) if problem.is_the_providers() => {
            is_by_stand_in = true;
            Toward::built_in(&query)
        }
        (toward, _) => toward?,
    };
    let near = match &toward {
        Some(toward) => {
            let nearest = toward.nearest(&sought.among, DEPTH);
            embeddings::nearest(app.read_models.embeddings.db(), &nearest).await?
        }
        None => Vec::new(),
    };
    let near: Vec<Position> = near.iter().map(|near| near.position).collect();
    let db = app.read_models.search.db();
    let with_words = search::search(db, sought, None, DEPTH as usize).await?;
    let with_words: Vec<Position> = with_words.hits.iter().map(|hit| hit.position).collect();
    let mut left = fuse(&[&with_words, &near]);
    left.retain(|fused| after.is_none_or(|after| fused.is_after(after)));
    let more = left.len() > limit;
    left.truncate(limit);
    let scored: Vec<(Position, f64)> = left.iter().map(|fused| (fused.position, fused.score)).collect();
    let hits = search::hits(db, Some(&sought.terms), &scored).await?;
    let model = toward.map_or_else(|| MODEL.to_owned(), |toward| toward.model);
    Ok(Nearby { hits, next: left.last().copied().filter(|_| more), model, is_by_stand_in })
}
