//! `/api/v1/search`: finding what was said.

mod asked;
mod cursor;
mod fusion;
mod near;

use axum::extract::State;
use domain::ids::{ConversationId, MessageId};
use projections::embeddings::Cursor;
use projections::history::Role;
use projections::search::{self, After, Among, Found, Hit, Sought};
use serde::Serialize;
use store::{Position, StoreError};

use self::asked::{Asked, SearchRequest, Way};
use self::fusion::Fused;
use self::near::Nearby;
use super::positioned::{Lag, MinPosition, Seen};
use crate::app::App;
use crate::extract::{Body, Caller};
use crate::problem::Problem;
use crate::time::Time;

#[derive(Serialize)]
pub(super) struct SearchAnswer {
    results: Vec<ShownHit>,
    /// Goes into `after`, for the next page of the same search; null where there is none.
    next: Option<String>,
    /// Whose vectors were compared; not said of a search by words alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// What was done without, for the moment.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    degraded: &'static [&'static str],
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

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Body(request): Body<SearchRequest>,
) -> Result<Seen<SearchAnswer>, Problem> {
    let Asked { way, among, limit, same } = request.parse(caller.user, app.providers.embedding_model())?;
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
        match self {
            Self::Text { terms, after } => {
                let sought = Sought { terms, among };
                let Found { hits, next } =
                    search::search(app.read_models.search.db(), &sought, after, limit as usize).await?;
                let numbers = |it: After| [place(it.above), place(it.below), it.score.to_bits(), place(it.position)];
                let next = next.map(|next| cursor::write(numbers(next), same));
                Ok(SearchAnswer { results: shown(hits), next, model: None, degraded: &[] })
            }
            Self::Semantic { direction, terms, after } => {
                let found = near::semantic(app, direction, &among, terms.as_ref(), after, limit).await?;
                let numbers = |it: Cursor| [it.distance.to_bits(), place(it.position), it.seen.into()];
                Ok(SearchAnswer::of(found, |next| cursor::write(numbers(next), same)))
            }
            Self::Hybrid { direction, terms, after } => {
                let sought = Sought { terms, among };
                let found = near::hybrid(app, direction, &sought, after, limit as usize).await?;
                let numbers = |it: Fused| [it.score.to_bits(), place(it.position)];
                let same = if found.is_by_stand_in { asked::by_stand_in(same) } else { same.to_owned() };
                Ok(SearchAnswer::of(found, |next| cursor::write(numbers(next), &same)))
            }
        }
    }
}

impl SearchAnswer {
    fn of<N>(found: Nearby<N>, write: impl FnOnce(N) -> String) -> Self {
        let degraded: &[_] = if found.is_by_stand_in { &["embeddings"] } else { &[] };
        Self { results: shown(found.hits), next: found.next.map(write), model: Some(found.model), degraded }
    }
}

fn shown(hits: Vec<Hit>) -> Vec<ShownHit> {
    hits.into_iter().map(ShownHit::from).collect()
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
