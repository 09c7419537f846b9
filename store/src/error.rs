//! What can go wrong with a database, as far as anybody above has to know.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It will pass: the database is away, full or busy.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The program that appends to the log is shutting down.
    #[error("the log is closed")]
    Closed,
    /// Too many others wanted to change the same streams.
    #[error("too many wanted to change the same thing at once")]
    Contended,
    /// What stands in the database is not what this build wrote.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(Cow<'static, str>),
    #[error("the database was made by a newer version of colloquy (migration {0}); run that version")]
    TooNew(i64),
    #[error("the tables of the read model {0} are of another version; run: colloquy rebuild {0}")]
    OtherTables(&'static str),
    #[error("the database's encoding must be UTF8")]
    Encoding,
    #[error("the database could not be prepared")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    #[error("a statement failed")]
    Statement(#[source] Arc<sqlx::Error>),
    #[error("a file of the database could not be used")]
    File(#[source] Arc<std::io::Error>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let passing = is_passing(&error);
        let error = Arc::new(error);
        if passing { Self::Unavailable(error) } else { Self::Statement(error) }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::File(Arc::new(error))
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        if let sqlx::migrate::MigrateError::VersionMissing(version) = error {
            Self::TooNew(version)
        } else if let sqlx::migrate::MigrateError::Execute(error) = error {
            Self::from(error)
        } else {
            Self::Migration(Arc::new(error))
        }
    }
}

impl StoreError {
    /// Whether the same call may go through later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Closed | Self::Contended)
    }

    /// Whether Postgres has ended the session, and so has kept nothing of what it was just asked to.
    pub(crate) fn ended_by_server(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code.starts_with("57P"))
    }
}

pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    let broken = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    broken || code.is_some_and(|code| is_passing_code(&code))
}

/// SQLSTATE classes 08 (connection), 53 (resources) and 57 (operator, crash, start); SQLite's busy, locked and full.
fn is_passing_code(code: &str) -> bool {
    let postgres = code.len() == 5 && ["08", "53", "57"].iter().any(|class| code.starts_with(class));
    // SQLite's extended codes keep the primary one in the lowest byte.
    let sqlite = code.len() != 5 && code.parse::<u32>().is_ok_and(|code| [5, 6, 10, 13].contains(&(code & 0xff)));
    postgres || sqlite
}

/// A row of the same key stands there already. (SQLite has two codes for it; `sqlx` knows both.)
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// An error with all its causes, in one line: what each says of itself, and never its fields, which may hold data.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
