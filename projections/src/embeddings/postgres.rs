//! Vectors on Postgres: pgvector's, or plain arrays where it is not there, which nobody can search in.

use domain::Timestamp;
use sqlx::{FromRow, PgConnection};
use store::bulk::{self, Column};
use store::{PostgresDb, StoreError, Tx, on_tx};
use uuid::Uuid;

use super::MODEL;
use super::apply::{Gone, Row};
use super::query::{Near, Nearest, NearestError};
use super::sketch::sketch;
use crate::history::Role;
use crate::search::Among;

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
    bulk::execute(tx, ADD, &columns).await?;
    write_sketches(tx, rows).await
}

/// An array becomes a `vector` by itself where the column is one.
const ADD: &str = "\
    with given (message, model, conversation, owner, role, created_at, position, dimension, vector) as ({rows}) \
    insert into vectors (message, model, conversation, owner, role, created_at, position, dimension, vector) \
    select message, model, conversation, owner, role, created_at, position, dimension, vector::real[] from given \
    on conflict (message, model) do update set dimension = excluded.dimension, vector = excluded.vector";

async fn write_sketches(tx: &mut Tx, rows: &[Row<'_>]) -> Result<(), StoreError> {
    let sketch = |row| Some((row, sketch(Row::vector(row)?)?));
    let sketches: Vec<(&Row<'_>, String)> = rows.iter().filter_map(sketch).collect();
    let rows = || sketches.iter().map(|(row, _)| *row);
    let columns = [
        Column::Uuid(rows().map(|row| row.place.owner.into()).collect()),
        Column::Text(rows().map(|row| row.model).collect()),
        Column::Int(rows().map(|row| row.place.position).collect()),
        Column::Int(rows().map(Row::dimension).collect()),
        Column::Uuid(rows().map(|row| row.place.conversation.into()).collect()),
        Column::Text(rows().map(|row| row.place.role.as_str()).collect()),
        Column::Int(rows().map(|row| row.place.created_at).collect()),
        Column::Text(sketches.iter().map(|(_, sketch)| sketch.as_str()).collect()),
    ];
    bulk::execute(tx, SKETCH, &columns).await
}

const SKETCH: &str = "\
    with given (owner, model, position, dimension, conversation, role, created_at, sketch) as ({rows}) \
    insert into vector_sketches (owner, model, position, dimension, conversation, role, created_at, sketch) \
    select owner, model, position, dimension, conversation, role, created_at, sketch::bit(1024) from given \
    on conflict (owner, model, position) do update set dimension = excluded.dimension, sketch = excluded.sketch";

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
    let sql = format!(
        "with gone as (delete from vectors where {column} = $1 returning owner, model, position) \
         delete from vector_sketches as sketches using gone \
         where (sketches.owner, sketches.model, sketches.position) = (gone.owner, gone.model, gone.position)"
    );
    Ok(on_tx!(tx, connection => sqlx::query(&sql).bind(id).execute(connection).await.map(|_| ()))?)
}

/// How many are compared exactly: of all that are the owner's, those whose sketches are nearest. They are the same however
/// far down a page is.
const CANDIDATES: usize = 2_000;
/// How many a walk from neighbour to neighbour keeps in sight. It goes on until there are enough of the owner's.
const IN_SIGHT: u32 = 400;

/// How candidates are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// None are: every vector is compared.
    Exactly,
    /// By all of the owner's sketches.
    BySketches,
    /// By the graph of neighbours, or by all sketches: what Postgres deems less work. There is none for the built-in model's:
    /// see ADR 8.
    ByNeighbours,
}

pub(super) async fn nearest(postgres: &PostgresDb, query: &Nearest<'_>) -> Result<Vec<Near>, NearestError> {
    let mut tx = postgres.begin().await?;
    let extension = reach_extension(&mut tx).await?;
    let sketch = sketch(query.vector);
    // A conversation has an index of its own, and few messages.
    let Some(sketch) = sketch.filter(|_| query.among.conversation.is_none()) else {
        return Ok(search(&mut tx, query, Way::Exactly, None).await?);
    };
    if extension.has_neighbours && query.model != MODEL {
        set_walk(&mut tx).await?;
        let found = search(&mut tx, query, Way::ByNeighbours, Some(&sketch)).await?;
        // A walk ends at some point, and may have met too few of this owner's.
        if found.len() >= query.limit as usize {
            return Ok(found);
        }
    }
    Ok(search(&mut tx, query, Way::BySketches, Some(&sketch)).await?)
}

#[derive(FromRow)]
struct Extension {
    schema: Option<String>,
    is_used: bool,
    has_neighbours: bool,
}

/// Looks for the extension, and makes this transaction see it, wherever it is. Bits are compared by its 0.7 or later.
async fn reach_extension(tx: &mut PgConnection) -> Result<Extension, NearestError> {
    let sql = "select (select extnamespace::regnamespace::text from pg_extension where extname = 'vector' \
                   and exists (select from pg_operator where oprname = '<~>' and oprnamespace = extnamespace)) as schema, \
               atttypid <> 'real[]'::regtype as is_used, \
               to_regclass('vector_neighbours') is not null as has_neighbours \
               from pg_attribute where attrelid = 'vectors'::regclass and attname = 'vector'";
    let extension: Extension = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
    let Some(schema) = extension.schema.as_ref().filter(|_| extension.is_used) else {
        return Err(NearestError::ExtensionMissing);
    };
    let path = "select set_config('search_path', current_setting('search_path') || ',' || $1, true)";
    sqlx::query(path).bind(schema).execute(tx).await?;
    Ok(extension)
}

async fn set_walk(tx: &mut PgConnection) -> Result<(), StoreError> {
    let settings =
        "select set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true)";
    sqlx::query(settings).bind(IN_SIGHT.to_string()).execute(tx).await?;
    Ok(())
}

async fn search(
    tx: &mut PgConnection,
    query: &Nearest<'_>,
    way: Way,
    sketch: Option<&str>,
) -> Result<Vec<Near>, StoreError> {
    let among = query.among;
    let sql = statement(among, way);
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
        .bind(i64::from(query.limit))
        .bind(sketch);
    let found: Vec<super::query::Row> = finding.fetch_all(tx).await?;
    found.into_iter().map(Near::try_from).collect()
}

/// What is looked for is read once, and not for each row. Candidates are looked up one by one, whatever Postgres believes of
/// tables that it has not counted yet.
fn statement(among: &Among, way: Way) -> String {
    let favourite = "exists (select from vector_favourites where vector_favourites.conversation = among.conversation)";
    let wanted = format!(
        "owner = $1 and model = $2 and dimension = $3 and ({}) and ({}) and ({}) and ({}) and ({})",
        either(among.conversation.is_some(), "conversation = $5", "$5::uuid is null"),
        either(among.role.is_some(), "role = $6", "$6::text is null"),
        either(among.since.is_some(), "created_at >= $7", "$7::bigint is null"),
        either(among.until.is_some(), "created_at < $8", "$8::bigint is null"),
        either(among.favourite.is_some(), &format!("{favourite} = $9"), "$9::boolean is null"),
    );
    let distance = "sketch <~> (select $11::text::bit(1024))";
    let candidates = match way {
        Way::Exactly => None,
        Way::BySketches => Some(format!("{wanted} order by {distance}, position desc")),
        // In the words of the index.
        Way::ByNeighbours => Some(format!("{wanted} and model <> '{MODEL}' order by {distance}")),
    };
    let from = candidates.map_or_else(
        || format!("vectors as among where {wanted} and $11::text is null"),
        |candidates| {
            format!(
                "(select position as place from vector_sketches as among where {candidates} limit {CANDIDATES}) \
                 as candidates cross join lateral (select * from vectors \
                 where owner = $1 and model = $2 and position = place and dimension = $3 limit 1) as vectors"
            )
        },
    );
    format!(
        "select message, conversation, role, created_at, position, vector <=> (select $4::text::vector) as distance \
         from {from} order by distance, position desc limit $10"
    )
}

/// A condition where it is asked for, or one that is always true; so that a statement is planned for what it asks.
const fn either<'a>(is_asked: bool, condition: &'a str, always: &'a str) -> &'a str {
    if is_asked { condition } else { always }
}
