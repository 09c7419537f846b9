//! Moments that are asked for, as places in the log: rows lie in its order, and times only nearly so.

use store::{Db, StoreError, on};

use super::Filter;

/// How far the nodes' clocks may be apart, at most. In microseconds.
const SKEW: i64 = 10 * 60 * 1_000_000;

const LAST_BELOW: &str = "select position from activity where at < $1 order by at desc, position desc limit 1";
const FIRST_FROM: &str = "select position from activity where at >= $1 order by at, position limit 1";

/// Between which places the rows are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) after: Option<i64>,
    /// Inclusive.
    pub(super) upto: Option<i64>,
}

impl Span {
    /// Leaves out what is surely too old or too new; what is near is told by its own time.
    pub(super) async fn within(self, db: &Db, filter: &Filter) -> Result<Self, StoreError> {
        let since = filter.since.map(|since| since.as_micros().saturating_sub(SKEW));
        let until = filter.until.map(|until| until.as_micros().saturating_add(SKEW));
        // What came before something this old is itself too old, whoever's clock it has; and what came after, too new.
        let (after, next) = (place(db, LAST_BELOW, since).await?, place(db, FIRST_FROM, until).await?);
        let upto = next.map(|next| next.saturating_sub(1));
        Ok(Self { after: self.after.max(after), upto: self.upto.into_iter().chain(upto).min() })
    }
}

async fn place(db: &Db, sql: &str, at: Option<i64>) -> Result<Option<i64>, StoreError> {
    let Some(at) = at else { return Ok(None) };
    Ok(on!(db, pool => sqlx::query_scalar(sql).bind(at).fetch_optional(pool).await)?)
}
