//! Questions out: a page of hits, ranked within windows.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;

use domain::Timestamp;
use domain::ids::{ConversationId, UserId};
use store::{Db, Position, StoreError, on};
use uuid::Uuid;

use super::window::{Asked, Match, Range};
use super::{After, Among, Found, Hit, Sought, Terms, snippet};

/// Whether it is a conversation of somebody's.
pub async fn has_conversation(db: &Db, owner: UserId, id: ConversationId) -> Result<bool, StoreError> {
    let sql = "select 1 from search_conversations where id = $1 and owner = $2";
    let (id, owner) = (Uuid::from(id), Uuid::from(owner));
    let row: Option<i32> = on!(db, pool => sqlx::query_scalar(sql).bind(id).bind(owner).fetch_optional(pool).await)?;
    Ok(row.is_some())
}

/// A page of what is sought.
pub async fn search(db: &Db, sought: &Sought, after: Option<After>, limit: usize) -> Result<Found, StoreError> {
    let Some(span) = span(db, &sought.among).await? else { return Ok(Found { hits: Vec::new(), next: None }) };
    let favourites = favourites(db, &sought.among).await?;
    if favourites.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Found { hits: Vec::new(), next: None });
    }
    let mut asked = Asked::of(db, sought, favourites.as_deref().unwrap_or_default());
    // One more than is shown tells whether there are more.
    let mut taken = take(db, &mut asked, span, after, limit + 1).await?;
    let more = taken.len() > limit;
    taken.truncate(limit);
    let next = taken.last().copied().filter(|_| more);
    let scored: Vec<_> = taken.iter().map(|place| (place.position, place.score)).collect();
    Ok(Found { hits: hits(db, Some(&sought.terms), &scored).await?, next })
}

/// The positions between which all lies that is of a time; `None` where nothing is.
async fn span(db: &Db, among: &Among) -> Result<Option<Range>, StoreError> {
    if among.since.is_none() && among.until.is_none() {
        return Ok(Some(Range { above: 0, below: i64::MAX }));
    }
    // Positions and times are not quite in one order. The sums keep the index of positions out of it.
    let sql = "select min(position + 0), max(position + 0) from search_messages \
               where owner = $1 and created_at >= $2 and created_at < $3";
    let since = among.since.map_or(i64::MIN, Timestamp::as_micros);
    let until = among.until.map_or(i64::MAX, Timestamp::as_micros);
    let owner = Uuid::from(among.owner);
    let (first, last): (Option<i64>, Option<i64>) =
        on!(db, pool => sqlx::query_as(sql).bind(owner).bind(since).bind(until).fetch_one(pool).await)?;
    Ok(first.zip(last).map(|(first, last)| Range { above: first - 1, below: last.saturating_add(1) }))
}

/// How many conversations an index is asked for at once.
const FEW: usize = 100;

/// All of somebody's favourites, where only these are wanted and they are few.
async fn favourites(db: &Db, among: &Among) -> Result<Option<Vec<ConversationId>>, StoreError> {
    if among.favourite != Some(true) || among.conversation.is_some() {
        return Ok(None);
    }
    let sql = "select id from search_conversations where owner = $1 and favourite = 1 order by id limit $2";
    let (owner, limit) = (Uuid::from(among.owner), i64::try_from(FEW + 1).unwrap_or(i64::MAX));
    let ids: Vec<Uuid> = on!(db, pool => sqlx::query_scalar(sql).bind(owner).bind(limit).fetch_all(pool).await)?;
    Ok((ids.len() <= FEW).then(|| ids.into_iter().map(ConversationId::from).collect()))
}

/// So many matches after a place, window by window.
async fn take(
    db: &Db,
    asked: &mut Asked,
    span: Range,
    after: Option<After>,
    count: usize,
) -> Result<Vec<After>, StoreError> {
    let mut taken = Vec::new();
    let mut range = after.map_or(span, |after| Range { above: after.above.get(), below: after.below.get() });
    let mut after = after.map(|after| Match { position: after.position.get(), score: after.score });
    while taken.len() < count && range.below > span.above + 1 {
        let window = asked.newest(db, range).await?;
        // What is said meanwhile is not in it, lest it get between what was seen and what was not.
        let newest = window.matches.first().map_or(range.below, |newest| newest.position + 1);
        let (above, below) = (Position::new(window.above), Position::new(newest.min(range.below)));
        let place = |it: Match| After { above, below, score: it.score, position: Position::new(it.position) };
        let left = ranked(window.matches, after.take());
        taken.extend(left.into_iter().map(place).take(count - taken.len()));
        range = Range { above: span.above, below: window.above + 1 };
    }
    Ok(taken)
}

/// The best first; without those up to the last that was seen.
fn ranked(mut matches: Vec<Match>, seen: Option<Match>) -> Vec<Match> {
    if let Some(seen) = seen {
        matches.retain(|it| by_rank(it, &seen) == Ordering::Greater);
    }
    matches.sort_by(by_rank);
    matches
}

fn by_rank(one: &Match, other: &Match) -> Ordering {
    other.score.total_cmp(&one.score).then(other.position.cmp(&one.position))
}

type Row = (i64, Uuid, Uuid, String, String, i64);

/// Messages at places that were found, here or elsewhere, each with its score; the terms are marked in them.
pub async fn hits(db: &Db, terms: Option<&Terms>, scored: &[(Position, f64)]) -> Result<Vec<Hit>, StoreError> {
    let positions: Vec<i64> = scored.iter().map(|(position, _)| position.get()).collect();
    let cells = "select position, id, conversation, role, content, created_at from search_messages where position";
    // Only one of the engines knows arrays.
    let rows: Vec<Row> = match db {
        Db::Sqlite(file) => {
            let sql = format!("{cells} in (select value from json_each($1))");
            sqlx::query_as(&sql).bind(json(&positions)).fetch_all(&file.read).await?
        }
        Db::Postgres(postgres) => {
            let sql = format!("{cells} = any($1)");
            sqlx::query_as(&sql).bind(&positions).fetch_all(&postgres.pool).await?
        }
    };
    let mut rows: HashMap<i64, Row> = rows.into_iter().map(|row| (row.0, row)).collect();
    // What was deleted a moment ago is left out.
    let found = scored.iter().filter_map(|(position, score)| Some((score, rows.remove(&position.get())?)));
    found.map(|(score, row)| hit(terms, *score, row)).collect()
}

fn hit(terms: Option<&Terms>, score: f64, row: Row) -> Result<Hit, StoreError> {
    let (position, id, conversation, role, content, at) = row;
    Ok(Hit {
        message: id.into(),
        conversation: conversation.into(),
        role: role.parse().map_err(|_| StoreError::Corrupt("a message of nobody".into()))?,
        snippet: snippet(&content, terms),
        score,
        created_at: Timestamp::from_micros(at),
        position: Position::new(position),
    })
}

fn json(numbers: &[i64]) -> String {
    let mut json = "[".to_owned();
    for (index, number) in numbers.iter().enumerate() {
        let _ = write!(json, "{}{number}", if index > 0 { "," } else { "" });
    }
    json + "]"
}
