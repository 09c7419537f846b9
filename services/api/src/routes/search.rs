//! `/api/v1/search`: finding what was said.

mod cursor;
mod fusion;
mod near;

use axum::extract::State;
use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::Invalid;
use domain::words;
use projections::embeddings::Cursor;
use projections::history::Role;
use projections::search::{self, After, Among, Found, Hit, Sought, Terms, UnfitQuery};
use serde::{Deserialize, Serialize};
use store::{Position, StoreError};

use self::fusion::Fused;
use self::near::Direction;
use super::positioned::{Lag, MinPosition, Seen};
use super::posting::parse_session;
use crate::app::App;
use crate::extract::{Body, Caller};
use crate::problem::{FieldError, Problem};
use crate::time::Time;

#[derive(Deserialize)]
pub(super) struct SearchRequest {
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

#[derive(Serialize)]
pub(super) struct SearchAnswer {
    results: Vec<ShownHit>,
    /// Goes into `after`, for the next page of the same search; null where there is none.
    next: Option<String>,
}

#[derive(Serialize)]
struct ShownHit {
    message_id: MessageId,
    session_id: ConversationId,
    role: Role,
    snippet: String,
    score: f64,
    created_at: Time,
}

/// What was asked for, parsed.
struct Asked {
    way: Way,
    among: Among,
    limit: u32,
    /// All but the page, as a text.
    same: String,
}

/// How to look, for what, and behind what.
enum Way {
    Text { terms: Terms, after: Option<After> },
    Semantic { direction: Direction, terms: Option<Terms>, after: Option<Cursor> },
    Hybrid { direction: Direction, terms: Terms, after: Option<Fused> },
}

const DEFAULT_PAGE: u32 = 10;
const LARGEST_PAGE: u32 = 100;

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Body(request): Body<SearchRequest>,
) -> Result<Seen<SearchAnswer>, Problem> {
    let Asked { way, among, limit, same } = request.parse(caller.user)?;
    let lag = await_in(&app, &caller, least, &way).await?;
    if let Some(id) = among.conversation
        && !search::has_conversation(app.read_models.search.db(), caller.user, id).await?
    {
        return Err(Problem::NoSuchSession);
    }
    Ok(Seen(lag, way.go(&app, among, limit, &same).await?))
}

async fn await_in(app: &App, caller: &Caller, least: MinPosition, way: &Way) -> Result<Lag, StoreError> {
    let lag = least.await_in(app, &app.read_models.search, caller.user).await?;
    match way {
        Way::Text { .. } => Ok(lag),
        Way::Semantic { .. } | Way::Hybrid { .. } => {
            Ok(lag.or(least.await_in(app, &app.read_models.embeddings, caller.user).await?))
        }
    }
}

impl Way {
    async fn go(self, app: &App, among: Among, limit: u32, same: &str) -> Result<SearchAnswer, Problem> {
        let place = |position: Position| position.get().cast_unsigned();
        let (hits, next) = match self {
            Self::Text { terms, after } => {
                let sought = Sought { terms, among };
                let Found { hits, next } =
                    search::search(app.read_models.search.db(), &sought, after, limit as usize).await?;
                let numbers = |it: After| [place(it.above), place(it.below), it.score.to_bits(), place(it.position)];
                (hits, next.map(|next| cursor::write(numbers(next), same)))
            }
            Self::Semantic { direction, terms, after } => {
                let (hits, next) = near::semantic(app, &direction, &among, terms.as_ref(), after, limit).await?;
                let numbers = |it: Cursor| [it.distance.to_bits(), place(it.position), it.seen.into()];
                (hits, next.map(|next| cursor::write(numbers(next), same)))
            }
            Self::Hybrid { direction, terms, after } => {
                let sought = Sought { terms, among };
                let (hits, next) = near::hybrid(app, &direction, &sought, after, limit as usize).await?;
                let numbers = |it: Fused| [it.score.to_bits(), place(it.position)];
                (hits, next.map(|next| cursor::write(numbers(next), same)))
            }
        };
        Ok(SearchAnswer { results: hits.into_iter().map(ShownHit::from).collect(), next })
    }
}

impl SearchRequest {
    fn parse(self, user: UserId) -> Result<Asked, Problem> {
        let same = self.same(user);
        let mut errors = Vec::new();
        let mut fields = Unfit(&mut errors);
        let mode = fields.take("mode", self.mode.as_deref(), str::parse).map(|mode| mode.unwrap_or(Mode::Text));
        let role = fields.take("role", self.role.as_deref(), str::parse);
        let since = fields.take("since", self.since.as_deref(), moment);
        let until = fields.take("until", self.until.as_deref(), moment);
        let limit = fields.take("limit", self.limit, page);
        let way = mode.and_then(|mode| self.way(&mut fields, mode, &same));
        let (Ok(role), Ok(since), Ok(until), Ok(limit), Ok(way)) = (role, since, until, limit, way) else {
            return Err(Problem::Invalid(errors));
        };
        let conversation = self.session_id.as_deref().map(parse_session).transpose()?;
        let among = Among { owner: user, conversation, role, since, until, favourite: self.favourite };
        Ok(Asked { way, among, limit: limit.unwrap_or(DEFAULT_PAGE), same })
    }

    /// Parses the fields that each mode has in its own way.
    fn way(&self, fields: &mut Unfit<'_>, mode: Mode, same: &str) -> Result<Way, Noted> {
        let query = self.query.as_deref().unwrap_or_default();
        let (vector, model) = (self.vector.as_deref(), self.model.as_deref());
        let position = |number: u64| Position::new(number.cast_signed());
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
                let direction = fields.direction(self.query.as_deref(), vector, model);
                let after = fields.after(self.after.as_deref(), same, |[distance, at, seen]| Cursor {
                    distance: f64::from_bits(distance),
                    position: position(at),
                    seen: u32::try_from(seen).unwrap_or(u32::MAX),
                });
                Ok(Way::Semantic { direction: direction?, terms: terms?, after: after? })
            }
            Mode::Hybrid => {
                let terms = fields.parse("query", query, Terms::parse);
                let direction = fields.direction(Some(query), vector, model);
                let after = fields.after(self.after.as_deref(), same, |[score, at]| Fused {
                    score: f64::from_bits(score),
                    position: position(at),
                });
                Ok(Way::Hybrid { direction: direction?, terms: terms?, after: after? })
            }
        }
    }

    /// All but the page.
    fn same(&self, user: UserId) -> String {
        let Self { query, mode, vector, model, session_id, role, since, until, favourite, .. } = self;
        format!(
            "{user} {mode:?} {query:?} {vector:?} {model:?} {session_id:?} {role:?} {since:?} {until:?} {favourite:?}"
        )
    }
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

    fn direction(
        &mut self,
        query: Option<&str>,
        vector: Option<&[f32]>,
        model: Option<&str>,
    ) -> Result<Direction, Noted> {
        let errors = match Direction::of(query, vector, model) {
            Ok(direction) => return Ok(direction),
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

impl From<Hit> for ShownHit {
    fn from(hit: Hit) -> Self {
        Self {
            message_id: hit.message,
            session_id: hit.conversation,
            role: hit.role,
            snippet: hit.snippet,
            score: hit.score,
            created_at: Time(hit.created_at),
        }
    }
}
