//! Questions out: a subject's minutes, and what its lost windows are filled with.

use domain::Timestamp;
use store::{Db, StoreError, on};

use super::{Minute, Subject, minute_of};

/// The minutes from `first` to `last` in which something was asked for, oldest first; `limit` at most.
pub async fn minutes(db: &Db, subject: Subject, first: i64, last: i64, limit: u32) -> Result<Vec<Minute>, StoreError> {
    let sql = "select minute, admitted, refused, last_at from limit_minutes \
               where subject = $1 and minute between $2 and $3 order by minute limit $4";
    let rows: Vec<(i64, i64, i64, Option<i64>)> = on!(db, pool => {
        let query = sqlx::query_as(sql).bind(subject.key()).bind(first).bind(last).bind(i64::from(limit));
        query.fetch_all(pool).await
    })?;
    let minute = |(minute, admitted, refused, last_at): (_, _, _, Option<_>)| Minute {
        minute,
        admitted,
        refused,
        last_at: last_at.map(Timestamp::from_micros),
    };
    Ok(rows.into_iter().map(minute).collect())
}

/// How many were admitted in each minute whose newest came after `since`, and when that one did; oldest first. Whoever
/// counts all of a minute as that one never counts too few.
pub async fn admitted(db: &Db, subject: Subject, since: Timestamp) -> Result<Vec<(Timestamp, u32)>, StoreError> {
    // What came after a moment is in no earlier minute than that moment: so the key finds it.
    let sql = "select last_at, admitted from limit_minutes \
               where subject = $1 and minute >= $2 and last_at > $3 order by minute";
    let rows: Vec<(i64, i64)> = on!(db, pool => {
        let query = sqlx::query_as(sql).bind(subject.key()).bind(minute_of(since)).bind(since.as_micros());
        query.fetch_all(pool).await
    })?;
    let of_minute = |(at, count)| (Timestamp::from_micros(at), u32::try_from(count).unwrap_or(u32::MAX));
    Ok(rows.into_iter().map(of_minute).collect())
}
