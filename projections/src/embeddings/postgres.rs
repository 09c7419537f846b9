//! Vectors on Postgres: pgvector's, or plain arrays where it is not there, which nobody can search in.

use domain::Timestamp;
use sqlx::{FromRow, PgConnection};
use store::bulk::{self, Column};
use store::{PostgresDb, StoreError, Tx, on_tx};
use uuid::Uuid;

use super::apply::{Gone, Row};
use super::query::{Near, Nearest, NearestError};
use crate::history::Role;

pub(super) async fn write(tx: &mut Tx, rows: &[Row<'_>]) -> Result<(), StoreError> {
    let vectors: Vec<Option<String>> = rows.iter().map(|row| row.vector.as_deref().map(array)).collect();
    let uuid = |of: fn(&Row<'_>) -> Uuid| Column::Uuid(rows.iter().map(of).collect());
    let columns = [
        uuid(|row| row.place.message.into()),
        Column::Text(rows.iter().map(|row| row.model).collect()),
        uuid(|row| row.place.conversation.into()),
        uuid(|row| row.place.owner.into()),
        Column::Text(rows.iter().map(|row| row.place.role.as_str()).collect()),
        Column::Int(rows.iter().map(|row| row.place.created_at).collect()),
        Column::Int(rows.iter().map(|row| row.place.position).collect()),
        Column::Int(rows.iter().map(Row::dimension).collect()),
        Column::OptionalText(vectors.iter().map(Option::as_deref).collect()),
    ];
    bulk::execute(tx, ADD, &columns).await
}

/// An array becomes a `vector` by itself where the column is one.
const ADD: &str = "\
    with given (message, model, conversation, owner, role, created_at, position, dimension, vector) as ({rows}) \
    insert into vectors (message, model, conversation, owner, role, created_at, position, dimension, vector) \
    select message, model, conversation, owner, role, created_at, position, dimension, vector::real[] from given \
    on conflict (message, model) do update set dimension = excluded.dimension, vector = excluded.vector";

/// As Postgres reads an array, to the last bit.
fn array(vector: &[f32]) -> String {
    format!("{{{}}}", numbers(vector))
}

fn numbers(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(|number| format!("{number:e}")).collect();
    numbers.join(",")
}

pub(super) async fn remove(tx: &mut Tx, gone: Gone) -> Result<(), StoreError> {
    let (column, id) = gone.key();
    let sql = format!("delete from vectors where {column} = $1");
    Ok(on_tx!(tx, connection => sqlx::query(&sql).bind(id).execute(connection).await.map(|_| ()))?)
}

/// All of the owner's vectors are compared. An index would miss some and cost more than all else: see ADR 8.
pub(super) async fn nearest(postgres: &PostgresDb, query: &Nearest<'_>) -> Result<Vec<Near>, NearestError> {
    let mut tx = postgres.begin().await?;
    reach_extension(&mut tx).await?;
    Ok(search(&mut tx, query).await?)
}

#[derive(FromRow)]
struct Extension {
    schema: Option<String>,
    is_used: bool,
}

/// Looks for the extension, and makes this transaction see it, wherever it is.
async fn reach_extension(tx: &mut PgConnection) -> Result<(), NearestError> {
    let sql = "select (select extnamespace::regnamespace::text from pg_extension where extname = 'vector') as schema, \
               atttypid <> 'real[]'::regtype as is_used \
               from pg_attribute where attrelid = 'vectors'::regclass and attname = 'vector'";
    let extension: Extension = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
    let Some(schema) = extension.schema.filter(|_| extension.is_used) else {
        return Err(NearestError::ExtensionMissing);
    };
    let path = "select set_config('search_path', current_setting('search_path') || ',' || $1, true)";
    sqlx::query(path).bind(schema).execute(tx).await?;
    Ok(())
}

async fn search(tx: &mut PgConnection, query: &Nearest<'_>) -> Result<Vec<Near>, StoreError> {
    let among = query.among;
    let favourite =
        "exists (select from vector_favourites where vector_favourites.conversation = vectors.conversation)";
    let sql = format!(
        // What is looked for is read once, and not for each row.
        "select message, conversation, role, created_at, position, vector <=> (select $4::text::vector) as distance \
         from vectors where owner = $1 and model = $2 and dimension = $3 and ({}) and ({}) and ({}) and ({}) and ({}) \
         order by distance, position desc limit $10",
        either(among.conversation.is_some(), "conversation = $5", "$5::uuid is null"),
        either(among.role.is_some(), "role = $6", "$6::text is null"),
        either(among.since.is_some(), "created_at >= $7", "$7::bigint is null"),
        either(among.until.is_some(), "created_at < $8", "$8::bigint is null"),
        either(among.favourite.is_some(), &format!("{favourite} = $9"), "$9::boolean is null"),
    );
    let finding = sqlx::query_as(&sql)
        .bind(Uuid::from(query.among.owner))
        .bind(query.model)
        .bind(i64::try_from(query.vector.len()).unwrap_or(0))
        .bind(format!("[{}]", numbers(query.vector)))
        .bind(among.conversation.map(Uuid::from))
        .bind(among.role.map(Role::as_str))
        .bind(among.since.map(Timestamp::as_micros))
        .bind(among.until.map(Timestamp::as_micros))
        .bind(among.favourite)
        .bind(i64::from(query.limit));
    let found: Vec<super::query::Row> = finding.fetch_all(tx).await?;
    found.into_iter().map(Near::try_from).collect()
}

/// A condition where it is asked for, or one that is always true; so that a statement is planned for what it asks.
const fn either<'a>(is_asked: bool, condition: &'a str, always: &'a str) -> &'a str {
    if is_asked { condition } else { always }
}
