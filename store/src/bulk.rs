//! Many rows in one statement, on either engine.

use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{StoreError, Tx};

/// A column of rows.
#[derive(Debug, Clone)]
pub enum Column<'a> {
    Uuid(Vec<Uuid>),
    OptionalUuid(Vec<Option<Uuid>>),
    Int(Vec<i64>),
    OptionalInt(Vec<Option<i64>>),
    Text(Vec<&'a str>),
    OptionalText(Vec<Option<&'a str>>),
    OptionalBytes(Vec<Option<&'a [u8]>>),
}

/// SQLite takes its rows in runs of these lengths, so that there are few different statements to prepare. The last run is
/// filled up with rows of nulls, which are left out.
const RUNS: [usize; 7] = [1, 4, 16, 32, 64, 128, 256];
const LONGEST: usize = 512;

/// Runs a statement over rows. In `sql`, `{rows}` stands for them: a common table expression's body.
///
/// Postgres takes each column as one array; SQLite takes a list of values, in runs, as it has a limit on parameters. The
/// first column has no nulls.
pub async fn execute(tx: &mut Tx, sql: &str, columns: &[Column<'_>]) -> Result<(), StoreError> {
    match tx {
        Tx::Postgres(tx) => postgres(tx, sql, columns).await?,
        Tx::Sqlite(tx) => sqlite(tx, sql, columns).await?,
    }
    Ok(())
}

async fn postgres(tx: &mut PgConnection, sql: &str, columns: &[Column<'_>]) -> Result<(), sqlx::Error> {
    if columns.first().is_some_and(|column| column.len() > 0) {
        let text = sql.replace("{rows}", &unnest(columns));
        columns.iter().fold(sqlx::query(&text), bind_array).execute(tx).await?;
    }
    Ok(())
}

pub(crate) async fn sqlite(tx: &mut SqliteConnection, sql: &str, columns: &[Column<'_>]) -> Result<(), sqlx::Error> {
    let rows = columns.first().map_or(0, Column::len);
    let mut done = 0;
    while done < rows {
        let run = RUNS.into_iter().find(|run| *run >= rows - done).unwrap_or(LONGEST);
        let text = sql.replace("{rows}", &values(run, columns.len()));
        bind_run(sqlx::query(&text), columns, done, run).execute(&mut *tx).await?;
        done += run;
    }
    Ok(())
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Uuid(values) => values.len(),
            Self::OptionalUuid(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::OptionalInt(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::OptionalText(values) => values.len(),
            Self::OptionalBytes(values) => values.len(),
        }
    }

    const fn postgres_type(&self) -> &'static str {
        match self {
            Self::Uuid(_) | Self::OptionalUuid(_) => "uuid",
            Self::Int(_) | Self::OptionalInt(_) => "bigint",
            Self::Text(_) | Self::OptionalText(_) => "text",
            Self::OptionalBytes(_) => "bytea",
        }
    }
}

fn unnest(columns: &[Column<'_>]) -> String {
    let arrays: Vec<_> =
        columns.iter().enumerate().map(|(i, column)| format!("${}::{}[]", i + 1, column.postgres_type())).collect();
    format!("select * from unnest({})", arrays.join(", "))
}

fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("select * from (values {}) where column1 is not null", vec![row; rows].join(", "))
}

type PostgresQuery<'q> = Query<'q, Postgres, sqlx::postgres::PgArguments>;
type SqliteQuery<'q> = Query<'q, Sqlite, sqlx::sqlite::SqliteArguments<'q>>;

fn bind_array<'q>(query: PostgresQuery<'q>, column: &'q Column<'q>) -> PostgresQuery<'q> {
    match column {
        Column::Uuid(values) => query.bind(values),
        Column::OptionalUuid(values) => query.bind(values),
        Column::Int(values) => query.bind(values),
        Column::OptionalInt(values) => query.bind(values),
        Column::Text(values) => query.bind(values),
        Column::OptionalText(values) => query.bind(values),
        Column::OptionalBytes(values) => query.bind(values),
    }
}

fn bind_run<'q>(query: SqliteQuery<'q>, columns: &'q [Column<'q>], from: usize, rows: usize) -> SqliteQuery<'q> {
    let cells = (from..from + rows).flat_map(|row| columns.iter().map(move |column| (row, column)));
    cells.fold(query, |query, (row, column)| match column {
        Column::Uuid(values) => query.bind(values.get(row)),
        Column::OptionalUuid(values) => query.bind(values.get(row).copied().flatten()),
        Column::Int(values) => query.bind(values.get(row)),
        Column::OptionalInt(values) => query.bind(values.get(row).copied().flatten()),
        Column::Text(values) => query.bind(values.get(row).copied()),
        Column::OptionalText(values) => query.bind(values.get(row).copied().flatten()),
        Column::OptionalBytes(values) => query.bind(values.get(row).copied().flatten()),
    })
}
