//! What is asked for, parsed; what is wrong with it is gathered, so that a client hears of all at once.

use domain::Timestamp;
use domain::ids::UserId;
use domain::values::{EmbeddingModel, Invalid};
use domain::words;
use projections::embeddings::Cursor;
use projections::search::{After, Among, Terms, UnfitQuery};
use serde::{Deserialize, Serialize};
use store::Position;

use super::cursor;
use super::fusion::Fused;
use super::near::Direction;
use crate::problem::{FieldError, Problem};
use crate::routes::posting::parse_session;

#[derive(Deserialize)]
pub(in crate::routes) struct SearchRequest {
    query: Option<String>,
    mode: Option<String>,
    /// To what it is to be near, and by which model, in place of the query's own.
    vector: Option<Vec<f32>>,
    model: Option<String>,
    session_id: Option<String>,
    role: Option<String>,
    since: Option<String>,
    until: Option<String>,
    #[serde(alias = "favorite")]
    favourite: Option<bool>,
    limit: Option<u32>,
    after: Option<String>,
}

words! {
    /// How to look for it.
    Mode {
        /// By its words.
        Text = "text",
        /// By its likeness: the nearest vectors.
        Semantic = "semantic",
        /// By both.
        Hybrid = "hybrid",
    }
}

/// What was asked for, parsed.
pub(super) struct Asked {
    pub(super) way: Way,
    pub(super) among: Among,
    pub(super) limit: u32,
    /// All but the page, as a text.
    pub(super) same: String,
}

/// How to look, for what, and behind what.
pub(super) enum Way {
    Text { terms: Terms, after: Option<After> },
    Semantic { direction: Direction, terms: Option<Terms>, after: Option<Cursor> },
    Hybrid { direction: Direction, terms: Terms, after: Option<Fused> },
}

const DEFAULT_PAGE: u32 = 10;
const LARGEST_PAGE: u32 = 100;

impl SearchRequest {
    /// `provider` is the model that reads queries, where one is configured.
    pub(super) fn parse(self, user: UserId, provider: Option<&EmbeddingModel>) -> Result<Asked, Problem> {
        let same = self.same(user);
        let mut errors = Vec::new();
        let mut fields = Unfit(&mut errors);
        let mode = fields.take("mode", self.mode.as_deref(), str::parse).map(|mode| mode.unwrap_or(Mode::Text));
        let role = fields.take("role", self.role.as_deref(), str::parse);
        let since = fields.take("since", self.since.as_deref(), moment);
        let until = fields.take("until", self.until.as_deref(), moment);
        let limit = fields.take("limit", self.limit, page);
        let way = mode.and_then(|mode| self.way(&mut fields, mode, provider, &same));
        let (Ok(role), Ok(since), Ok(until), Ok(limit), Ok(way)) = (role, since, until, limit, way) else {
            return Err(Problem::Invalid(errors));
        };
        let conversation = self.session_id.as_deref().map(parse_session).transpose()?;
        let among = Among { owner: user, conversation, role, since, until, favourite: self.favourite };
        Ok(Asked { way, among, limit: limit.unwrap_or(DEFAULT_PAGE), same })
    }

    /// Parses the fields that each mode has in its own way.
    fn way(
        &self,
        fields: &mut Unfit<'_>,
        mode: Mode,
        provider: Option<&EmbeddingModel>,
        same: &str,
    ) -> Result<Way, Noted> {
        let query = self.query.as_deref().unwrap_or_default();
        let vector = self.vector.as_deref();
        match mode {
            Mode::Text => {
                let terms = fields.parse("query", query, Terms::parse);
                let vector = fields.take("vector", vector, |_| Err::<(), _>("goes with the modes semantic and hybrid"));
                let after = fields.after(self.after.as_deref(), same, |[above, below, score, at]| After {
                    above: position(above),
                    below: position(below),
                    score: f64::from_bits(score),
                    position: position(at),
                });
                vector?;
                Ok(Way::Text { terms: terms?, after: after? })
            }
            Mode::Semantic => {
                let terms = fields.take("query", self.query.as_deref(), marked).map(Option::flatten);
                let direction = self.direction(fields, provider);
                let after = fields.after(self.after.as_deref(), same, |[distance, at, seen]| Cursor {
                    distance: f64::from_bits(distance),
                    position: position(at),
                    seen: u32::try_from(seen).unwrap_or(u32::MAX),
                });
                Ok(Way::Semantic { direction: direction?, terms: terms?, after: after? })
            }
            Mode::Hybrid => {
                let terms = fields.parse("query", query, Terms::parse);
                let direction = self.direction(fields, provider);
                let (direction, same) = match direction {
                    Ok(Direction::Asked(query)) if self.goes_on_by_stand_in(same) => {
                        (Ok(Direction::StandIn(query)), by_stand_in(same))
                    }
                    other => (other, same.to_owned()),
                };
                let after = fields.after(self.after.as_deref(), &same, |[score, at]| Fused {
                    score: f64::from_bits(score),
                    position: position(at),
                });
                Ok(Way::Hybrid { direction: direction?, terms: terms?, after: after? })
            }
        }
    }

    fn direction(&self, fields: &mut Unfit<'_>, provider: Option<&EmbeddingModel>) -> Result<Direction, Noted> {
        let (query, vector, model) = (self.query.as_deref(), self.vector.as_deref(), self.model.as_deref());
        fields.several(Direction::of(query, vector, model, provider))
    }

    /// Whether it is another page of what was found without the provider.
    fn goes_on_by_stand_in(&self, same: &str) -> bool {
        self.after.as_deref().is_some_and(|after| cursor::read::<2>(after, &by_stand_in(same)).is_some())
    }

    /// All but the page.
    fn same(&self, user: UserId) -> String {
        let Self { query, mode, vector, model, session_id, role, since, until, favourite, .. } = self;
        format!(
            "{user} {mode:?} {query:?} {vector:?} {model:?} {session_id:?} {role:?} {since:?} {until:?} {favourite:?}"
        )
    }
}

fn position(number: u64) -> Position {
    Position::new(number.cast_signed())
}

/// The same search, as the built-in model ranks it in place of a provider's.
pub(super) fn by_stand_in(same: &str) -> String {
    format!("{same} by the stand-in")
}

/// That something is wrong has been noted.
#[derive(Debug)]
struct Noted;

/// What is wrong with the fields, gathered.
struct Unfit<'a>(&'a mut Vec<FieldError>);

impl Unfit<'_> {
    fn parse<T, U, E: ToString>(
        &mut self,
        field: &'static str,
        given: T,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, Noted> {
        parse(given).map_err(|error| {
            self.0.push(FieldError { field, message: error.to_string() });
            Noted
        })
    }

    /// Parses a field that may be left out.
    fn take<T, U, E: ToString>(
        &mut self,
        field: &'static str,
        given: Option<T>,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<Option<U>, Noted> {
        given.map(|given| self.parse(field, given, parse)).transpose()
    }

    fn after<const N: usize, T>(
        &mut self,
        given: Option<&str>,
        same: &str,
        read: impl FnOnce([u64; N]) -> T,
    ) -> Result<Option<T>, Noted> {
        let parse = |text| cursor::read(text, same).ok_or("must be what an answer to this search gave as next");
        Ok(self.take("after", given, parse)?.map(read))
    }

    /// Takes what depends on several fields.
    fn several<T>(&mut self, parsed: Result<T, Vec<FieldError>>) -> Result<T, Noted> {
        let errors = match parsed {
            Ok(parsed) => return Ok(parsed),
            Err(errors) => errors,
        };
        // What is wrong with the query may have been said already.
        let said: Vec<_> = self.0.iter().map(|error| error.field).collect();
        self.0.extend(errors.into_iter().filter(|error| !said.contains(&error.field)));
        Err(Noted)
    }
}

/// What is marked where the query is found by its likeness: its words, where they are not too many.
fn marked(query: &str) -> Result<Option<Terms>, UnfitQuery> {
    match Terms::parse(query) {
        Ok(terms) => Ok(Some(terms)),
        Err(UnfitQuery::NoWord | UnfitQuery::TooManyWords) => Ok(None),
        Err(error @ (UnfitQuery::TooLong | UnfitQuery::Nul)) => Err(error),
    }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let time = text.parse::<jiff::Timestamp>().map_err(|_| "must be a time like 2026-01-31T12:00:00Z")?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}

fn page(limit: u32) -> Result<u32, Invalid> {
    if (1..=LARGEST_PAGE).contains(&limit) { Ok(limit) } else { Err(Invalid::OutOfRange(1, LARGEST_PAGE)) }
}
