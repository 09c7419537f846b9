//! Questions out: somebody's days, and what counts of them for a budget.

use domain::Timestamp;
use domain::ids::{ApiKeyId, UserId};
use domain::limit::{Amount, Known, Period, day_of};
use sqlx::FromRow;
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

/// Whose budget something counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    User(UserId),
    Key(ApiKeyId),
}

/// What somebody has spent today and this month, and up to where of the log that is known.
pub async fn known(db: &Db, payer: Payer, now: Timestamp) -> Result<Known, StoreError> {
    let (id, sql) = match payer {
        Payer::User(user) => (Uuid::from(user), KNOWN_OF_USER),
        Payer::Key(key) => (Uuid::from(key), KNOWN_OF_KEY),
    };
    let today = day_of(now);
    let first = Period::Month.first_day(today);
    // One statement: what is spent, and up to where, belong together.
    let rows: Vec<KnownRow> =
        on!(db, pool => sqlx::query_as(sql).bind(id).bind(first).bind(today).fetch_all(pool).await)?;
    let mut known = Known { day: today, ..Known::default() };
    for row in rows {
        known.position = row.position;
        let amount = row.amount();
        known.this_month = known.this_month.plus(amount);
        if row.day == Some(today) {
            known.today = known.today.plus(amount);
        }
    }
    Ok(known)
}

/// How far the read model is, and a row of it, if there is one.
#[derive(FromRow)]
struct KnownRow {
    position: i64,
    day: Option<i64>,
    tokens: Option<i64>,
    cost_micros: Option<i64>,
}

impl KnownRow {
    fn amount(&self) -> Amount {
        let number = |sum: Option<i64>| sum.map_or(0, |sum| u64::try_from(sum).unwrap_or(0));
        Amount { tokens: number(self.tokens), micros: number(self.cost_micros) }
    }
}

const KNOWN_OF_USER: &str = "\
    select reached.position, days.day, days.prompt_tokens + days.completion_tokens as tokens, days.cost_micros \
    from usage_checkpoint reached left join usage_days days on days.owner = $1 and days.day between $2 and $3";

const KNOWN_OF_KEY: &str = "\
    select reached.position, days.day, days.prompt_tokens + days.completion_tokens as tokens, days.cost_micros \
    from usage_checkpoint reached left join usage_key_days days on days.api_key = $1 and days.day between $2 and $3";
