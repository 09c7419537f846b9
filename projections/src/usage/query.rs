//! Questions out: somebody's days.

use domain::ids::UserId;
use store::{Db, StoreError, on};
use uuid::Uuid;

use super::ModelDay;

/// Days since 1970, the first and the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub first: i64,
    pub last: i64,
}

/// What somebody spent, the newest day first, then by model; `limit` rows at most.
pub async fn days(db: &Db, owner: UserId, among: Days, limit: u32) -> Result<Vec<ModelDay>, StoreError> {
    let sql = "select day, model, replies, completed, stopped, interrupted, prompt_tokens, completion_tokens, estimated, \
               cost_micros from usage_days where owner = $1 and day between $2 and $3 order by day desc limit $4";
    let owner = Uuid::from(owner);
    let mut rows: Vec<ModelDay> = on!(db, pool => {
        let query = sqlx::query_as(sql).bind(owner).bind(among.first).bind(among.last).bind(i64::from(limit));
        query.fetch_all(pool).await
    })?;
    // Here, as each engine has its own order of letters.
    rows.sort_by(|one, other| other.day.cmp(&one.day).then_with(|| one.model.cmp(&other.model)));
    Ok(rows)
}
