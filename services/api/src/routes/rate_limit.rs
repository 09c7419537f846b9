//! `GET /api/v1/chat/rate-limit`: how the windows stand in which one's turns count. Looking counts nowhere.

use axum::Json;
use axum::extract::State;
use domain::token::notice::LimitKind;
use serde::Serialize;

use crate::app::App;
use crate::extract::Caller;
use crate::limits::Shown;
use crate::problem::Problem;

#[derive(Serialize)]
pub(crate) struct RateLimitAnswer {
    global: Shown,
    user: Shown,
}

pub(crate) async fn show(State(app): State<App>, caller: Caller) -> Result<Json<RateLimitAnswer>, Problem> {
    let rate = app.rate_of(&caller).await?;
    let standings = app.limits.standings(caller.user, rate).await?;
    let of = |kind: LimitKind| Shown::from(standings.iter().find(|it| it.kind == kind).copied());
    Ok(Json(RateLimitAnswer { global: of(LimitKind::Service), user: of(LimitKind::User) }))
}
