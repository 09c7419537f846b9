//! `mode: semantic`: what is near to a vector; `mode: hybrid`: that together with what has the words.

use domain::values::{EmbeddingModel, Invalid, Vector};
use projections::embeddings::{self, Cursor, MODEL, Nearest, Page};
use projections::search::{self, Among, Hit, Sought, Terms};
use store::Position;

use super::fusion::{Fused, fuse};
use crate::app::App;
use crate::problem::{FieldError, Problem};
use crate::routes::embedding::fits;

/// Near to what to look, among which model's vectors.
pub(super) struct Direction {
    model: String,
    vector: Vec<f32>,
}

impl Direction {
    /// A client's own vector, or the built-in model's of the query.
    pub(super) fn of(
        query: Option<&str>,
        vector: Option<&[f32]>,
        model: Option<&str>,
    ) -> Result<Self, Vec<FieldError>> {
        let unfit = |field, message: String| FieldError { field, message };
        match (vector, model) {
            (Some(vector), Some(model)) => {
                let model = EmbeddingModel::try_from(model.to_owned()).map_err(|it| unfit("model", it.to_string()));
                let vector =
                    Vector::new(vector).and_then(|it| embeddings::unit(&it.numbers()).ok_or(Invalid::NoDirection));
                match (model, vector.map_err(|it| unfit("vector", it.to_string()))) {
                    (Ok(model), Ok(vector)) => Ok(Self { model: model.into(), vector }),
                    (model, vector) => Err(model.err().into_iter().chain(vector.err()).collect()),
                }
            }
            (Some(_), None) => Err(vec![unfit("model", "must be named with its vector".to_owned())]),
            (None, Some(model)) if model != MODEL => {
                Err(vec![unfit("model", format!("needs a vector: texts are read by {MODEL} alone"))])
            }
            (None, _) => {
                let vector = query.and_then(embeddings::embed);
                let vector = vector.ok_or_else(|| vec![unfit("query", "must have a word".to_owned())])?;
                Ok(Self { model: MODEL.to_owned(), vector })
            }
        }
    }

    const fn nearest<'a>(&'a self, among: &'a Among, limit: u32) -> Nearest<'a> {
        Nearest { among, model: self.model.as_str(), vector: self.vector.as_slice(), limit }
    }
}

/// A page of what is near; each one's score is the cosine.
pub(super) async fn semantic(
    app: &App,
    direction: &Direction,
    among: &Among,
    terms: Option<&Terms>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Hit>, Option<Cursor>), Problem> {
    fits(app, among.owner, &direction.model, direction.vector.len()).await?;
    let nearest = direction.nearest(among, limit);
    let Page { found, next } = embeddings::page(app.read_models.embeddings.db(), &nearest, after).await?;
    let scored: Vec<(Position, f64)> = found.iter().map(|near| (near.position, 1.0 - near.distance)).collect();
    let hits = search::hits(app.read_models.search.db(), terms, &scored).await?;
    Ok((hits, next))
}

/// How far down each of the two lists counts.
const DEPTH: u32 = 200;

/// A page of what is near or has the words, or both.
pub(super) async fn hybrid(
    app: &App,
    direction: &Direction,
    sought: &Sought,
    after: Option<Fused>,
    limit: usize,
) -> Result<(Vec<Hit>, Option<Fused>), Problem> {
    fits(app, sought.among.owner, &direction.model, direction.vector.len()).await?;
    let near = embeddings::nearest(app.read_models.embeddings.db(), &direction.nearest(&sought.among, DEPTH)).await?;
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
    Ok((hits, left.last().copied().filter(|_| more)))
}
