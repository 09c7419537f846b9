//! Many rows in one statement, on either engine.

use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{StoreError, Tx};

/// A column of rows.
#[derive(Debug, Clone)]
pub enum Column {
    Uuid(Vec<Uuid>),
    Int(Vec<i64>),
    Text(Vec<String>),
    OptionalText(Vec<Option<String>>),
}

/// SQLite takes its rows in runs of these lengths, so that there are few different statements to prepare.
const RUNS: [usize; 5] = [512, 128, 32, 8, 1];

/// Runs a statement over rows. In `sql`, `{rows}` stands for them: a common table expression's body.
///
/// Postgres takes each column as one array; SQLite takes a list of values, in runs, as it has a limit on parameters.
pub async fn execute(tx: &mut Tx, sql: &str, columns: &[Column]) -> Result<(), StoreError> {
    match tx {
        Tx::Postgres(tx) => postgres(tx, sql, columns).await?,
        Tx::Sqlite(tx) => sqlite(tx, sql, columns).await?,
    }
    Ok(())
}

async fn postgres(tx: &mut PgConnection, sql: &str, columns: &[Column]) -> Result<(), sqlx::Error> {
    if columns.first().is_some_and(|column| column.len() > 0) {
        let text = sql.replace("{rows}", &unnest(columns));
        columns.iter().fold(sqlx::query(&text), bind_array).execute(tx).await?;
    }
    Ok(())
}

pub(crate) async fn sqlite(tx: &mut SqliteConnection, sql: &str, columns: &[Column]) -> Result<(), sqlx::Error> {
    let rows = columns.first().map_or(0, Column::len);
    let mut done = 0;
    for run in RUNS {
        while rows - done >= run {
            let text = sql.replace("{rows}", &values(run, columns.len()));
            bind_run(sqlx::query(&text), columns, done, run).execute(&mut *tx).await?;
            done += run;
        }
    }
    Ok(())
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Uuid(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::OptionalText(values) => values.len(),
        }
    }

    const fn postgres_type(&self) -> &'static str {
        match self {
            Self::Uuid(_) => "uuid",
            Self::Int(_) => "bigint",
            Self::Text(_) | Self::OptionalText(_) => "text",
        }
    }
}

fn unnest(columns: &[Column]) -> String {
    let arrays: Vec<_> =
        columns.iter().enumerate().map(|(i, column)| format!("${}::{}[]", i + 1, column.postgres_type())).collect();
    format!("select * from unnest({})", arrays.join(", "))
}

fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("values {}", vec![row; rows].join(", "))
}

type PostgresQuery<'q> = Query<'q, Postgres, sqlx::postgres::PgArguments>;
type SqliteQuery<'q> = Query<'q, Sqlite, sqlx::sqlite::SqliteArguments<'q>>;

fn bind_array<'q>(query: PostgresQuery<'q>, column: &'q Column) -> PostgresQuery<'q> {
    match column {
        Column::Uuid(values) => query.bind(values),
        Column::Int(values) => query.bind(values),
        Column::Text(values) => query.bind(values),
        Column::OptionalText(values) => query.bind(values),
    }
}

fn bind_run<'q>(query: SqliteQuery<'q>, columns: &'q [Column], from: usize, rows: usize) -> SqliteQuery<'q> {
    let cells = (from..from + rows).flat_map(|row| columns.iter().map(move |column| (row, column)));
    cells.fold(query, |query, (row, column)| match column {
        Column::Uuid(values) => query.bind(values.get(row)),
        Column::Int(values) => query.bind(values.get(row)),
        Column::Text(values) => query.bind(values.get(row).map(String::as_str)),
        Column::OptionalText(values) => query.bind(values.get(row).and_then(Option::as_deref)),
    })
}
