-- One row for each message and model. The built-in model's rows are there for all messages; those without text have no vector.
create table vectors (
    message      uuid   not null,
    model        text   not null,
    conversation uuid   not null,
    owner        uuid   not null,
    role         text   not null,
    created_at   bigint not null,
    position     bigint not null,
    -- 0 where there is no vector, else how many numbers it has; of length 1 together.
    dimension    bigint not null,
    -- Becomes a `vector` below, where there is such a type.
    vector       real[],
    primary key (message, model)
);
create index vectors_of_owner on vectors (owner, model, position);
create index vectors_of_conversation on vectors (conversation);

-- What tells in a few bytes which vectors are worth a look, and what they are filtered by; of all that are long enough.
create table vector_sketches (
    owner        uuid      not null,
    model        text      not null,
    -- The message's, as above.
    position     bigint    not null,
    dimension    bigint    not null,
    conversation uuid      not null,
    role         text      not null,
    created_at   bigint    not null,
    sketch       bit(1024) not null,
    -- All of an owner's are looked through: in the key alone, where the table was vacuumed since they came.
    primary key (owner, model, position) include (dimension, conversation, role, created_at, sketch)
) with (autovacuum_vacuum_insert_scale_factor = 0.02);

create table vector_favourites (
    conversation uuid not null primary key,
    owner        uuid not null
);
create index vector_favourites_of_owner on vector_favourites (owner);

-- Without pgvector the rows are kept all the same, and nobody can search in them.
do $$
declare
    home text;
begin
    begin
        create extension if not exists vector with schema public;
    exception when insufficient_privilege or feature_not_supported or undefined_file or invalid_schema_name then
        null;
    end;
    select extnamespace::regnamespace::text into home from pg_extension where extname = 'vector';
    if home is not null then
        execute format('alter table vectors alter column vector type %s.vector', home);
    end if;
    -- The graph of neighbours: not of the built-in model's, whom a message would cost too much. Walks through it go on until they have
    -- met enough of an owner's since the extension's 0.8.
    if (select string_to_array(extversion, '.')::int[] >= '{0,8}' from pg_extension where extname = 'vector') then
        execute format('create index vector_neighbours on vector_sketches using hnsw (sketch %s.bit_hamming_ops) '
            'where model <> ''colloquy-hash-256''', home);
    end if;
end
$$;
