//! The newest matches within some positions: a thousand at most, found in about the same time however many there are.

use domain::ids::ConversationId;
use sqlx::{PgPool, SqlitePool};
use store::{Db, StoreError};
use uuid::Uuid;

use super::rank::{self, HEAD};
use super::text::Index;
use super::{Sought, Terms};

/// How many matches are ranked together.
pub(super) const WINDOW: usize = 1_000;

/// Some positions, without these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) above: i64,
    pub(super) below: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    pub(super) position: i64,
    pub(super) score: f64,
}

/// All matches above a position, the newest first.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) matches: Vec<Match>,
    pub(super) above: i64,
}

/// What is sought, in the words of the database.
pub(super) struct Asked {
    terms: Terms,
    expression: String,
    owner: Uuid,
    conversation: Option<Uuid>,
    role: Option<&'static str>,
    since: Option<i64>,
    until: Option<i64>,
    favourite: Option<i64>,
    /// Postgres' index has given up: there is too much in it.
    is_common: bool,
}

impl Asked {
    /// `favourites` are all conversations to look in, where that is known.
    pub(super) fn of(db: &Db, sought: &Sought, favourites: &[ConversationId]) -> Self {
        let (index, among) = (Index::of(db), &sought.among);
        Self {
            terms: sought.terms.clone(),
            expression: index.expression(sought, favourites),
            is_common: false,
            owner: among.owner.into(),
            conversation: among.conversation.map(Uuid::from),
            role: among.role.map(crate::history::Role::as_str),
            since: among.since.map(domain::Timestamp::as_micros),
            until: among.until.map(domain::Timestamp::as_micros),
            favourite: among.favourite.map(i64::from),
        }
    }

    /// The newest matches in a range.
    pub(super) async fn newest(&mut self, db: &Db, range: Range) -> Result<Window, StoreError> {
        match db {
            Db::Sqlite(file) => Ok(self.newest_in_fts5(&file.read, range).await?),
            Db::Postgres(postgres) => Ok(self.newest_in_postgres(&postgres.pool, range).await?),
        }
    }
}

impl Asked {
    /// From a list that ends where it is full, or else where the range does.
    fn window(&self, rows: Vec<(i64, String)>, above: i64) -> Window {
        let score = |head: &str| rank::score(&self.terms, head);
        let matches = rows.into_iter().map(|(position, head)| Match { position, score: score(&head) });
        let matches: Vec<_> = matches.collect();
        let last = matches.last().filter(|_| matches.len() >= WINDOW).map(|last| last.position - 1);
        Window { above: last.unwrap_or(above), matches }
    }
}

impl Window {
    fn is_full(&self) -> bool {
        self.matches.len() >= WINDOW
    }
}

/// Of a message: `$3` is its owner, and what follows it need not be asked for. Only the index may decide where to look.
const FITS: &str = "(owner = $3) is true and ($4 is null or (conversation = $4) is true) \
                    and ($5 is null or (role = $5) is true) \
                    and ($6 is null or (created_at >= $6) is true) and ($7 is null or (created_at < $7) is true) \
                    and ($8 is null or (select favourite from search_conversations it where it.id = conversation) = $8)";

/// FTS5 goes through its lists from the newest on, all of them side by side, and stops when the window is full.
const IN_FTS5: &str = "\
    select m.position, substr(m.content, 1, $11) from search_words cross join search_messages m \
    on m.position = search_words.rowid \
    where search_words match $9 and search_words.rowid > $1 and search_words.rowid < $2 and {fits} \
    order by search_words.rowid desc limit $10";

impl Asked {
    async fn newest_in_fts5(&self, pool: &SqlitePool, range: Range) -> Result<Window, sqlx::Error> {
        let sql = IN_FTS5.replace("{fits}", FITS);
        let query = sqlx::query_as(&sql).bind(range.above).bind(range.below).bind(self.owner).bind(self.conversation);
        let query = query.bind(self.role).bind(self.since).bind(self.until).bind(self.favourite);
        let rows = query.bind(&self.expression).bind(limit(WINDOW)).bind(HEAD).fetch_all(pool).await?;
        Ok(self.window(rows, range.above))
    }
}

/// How many of the newest messages are looked at first; where one of fifty matches, it is sooner done by looking on.
const NEAR: usize = 2_000;
const DENSE: usize = NEAR / 50;
/// How many are looked at one by one at most.
const FAR: usize = 10_000;
/// How many matches of the index are looked at, as it gives them in no order: each costs what five of the newest do.
const MANY: usize = 4_000;

/// The newest messages, one by one.
const WALKED: &str = "\
    select position, substr(content, 1, $10::int) from ( \
        select * from search_messages where {whose} and position > $1 and position < $2 order by position desc limit $11 \
    ) walked where words @@ (select $9::tsquery) and {fits} order by position desc limit $12";

const WALKED_DOWN_TO: &str = "\
    select count(*), coalesce(min(position), 0) from ( \
        select position from search_messages where {whose} and position > $1 and position < $2 \
        order by position desc limit $4 \
    ) walked";

/// All that the index has. The positions are not for an index to decide by.
const INDEXED: &str = "\
    with found as materialized ( \
        select position from search_messages where words @@ (select $9::tsquery) \
        and (position > $1 and position < $2) is true and {fits} limit $11 \
    ), newest as materialized (select position from found order by position desc limit $12) \
    select newest.position, substr(content, 1, $10::int), (select count(*) from found) \
    from newest join search_messages it on it.position = newest.position order by newest.position desc";

impl Asked {
    /// Postgres' index gives matches in the order in which they lie about: a common word is found sooner by looking at the
    /// newest messages one by one.
    async fn newest_in_postgres(&mut self, pool: &PgPool, range: Range) -> Result<Window, sqlx::Error> {
        if !self.is_common {
            let near = self.walk(pool, range, NEAR).await?;
            if near.is_full() || near.above <= range.above {
                return Ok(near);
            }
            if near.matches.len() < DENSE {
                if let Some(window) = self.indexed(pool, range).await? {
                    return Ok(window);
                }
                self.is_common = true;
            }
        }
        self.walk(pool, range, FAR).await
    }

    async fn walk(&self, pool: &PgPool, range: Range, most: usize) -> Result<Window, sqlx::Error> {
        let whose = if self.conversation.is_some() { "conversation = $4" } else { "owner = $3" };
        let sql = WALKED.replace("{whose}", whose).replace("{fits}", FITS);
        let query = self.bound(&sql, range).bind(limit(most)).bind(limit(WINDOW));
        let window = self.window(query.fetch_all(pool).await?, range.above);
        if window.is_full() {
            return Ok(window);
        }
        let whose = whose.replace("$4", "$3");
        let sql = WALKED_DOWN_TO.replace("{whose}", &whose);
        let query = sqlx::query_as(&sql).bind(range.above).bind(range.below);
        let query = query.bind(self.conversation.unwrap_or(self.owner)).bind(limit(most));
        let (walked, lowest): (i64, i64) = query.fetch_one(pool).await?;
        let above = if walked < limit(most) { range.above } else { lowest - 1 };
        Ok(Window { above, ..window })
    }

    /// `None` where the index has too many.
    async fn indexed(&self, pool: &PgPool, range: Range) -> Result<Option<Window>, sqlx::Error> {
        let sql = INDEXED.replace("{fits}", FITS);
        let query = self.bound::<(i64, String, i64)>(&sql, range).bind(limit(MANY + 1)).bind(limit(WINDOW));
        let rows = query.fetch_all(pool).await?;
        if rows.first().is_some_and(|(.., found)| *found > limit(MANY)) {
            return Ok(None);
        }
        let rows = rows.into_iter().map(|(position, head, _)| (position, head)).collect();
        Ok(Some(self.window(rows, range.above)))
    }

    fn bound<'q, T>(&'q self, sql: &'q str, range: Range) -> PostgresQuery<'q, T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let query = sqlx::query_as(sql).bind(range.above).bind(range.below).bind(self.owner).bind(self.conversation);
        let query = query.bind(self.role).bind(self.since).bind(self.until).bind(self.favourite);
        query.bind(&self.expression).bind(HEAD)
    }
}

type PostgresQuery<'q, T> = sqlx::query::QueryAs<'q, sqlx::Postgres, T, sqlx::postgres::PgArguments>;

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::{FITS, IN_FTS5};

    /// SQLite plans by the statement alone: nobody ever tells it how much there is of what.
    #[tokio::test]
    async fn fts5_says_what_to_look_at_and_in_which_order() {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let tables = include_str!("../../../migrations/search/sqlite.sql");
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        let explain = format!("explain query plan {}", IN_FTS5.replace("{fits}", FITS));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(&explain).fetch_all(&pool).await.unwrap();
        let steps: Vec<_> = steps.into_iter().map(|(.., step)| step).collect();
        let (first, rest) = steps.split_first().unwrap();
        // By the words, and between two positions.
        assert!(first.starts_with("SCAN search_words VIRTUAL TABLE INDEX") && first.ends_with("M2><"), "{steps:?}");
        assert_eq!(rest.first().unwrap(), "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)");
        assert!(!rest.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "it stops when there is enough: {steps:?}");
    }
}
