-- One row for each message and model. The built-in model's rows are there for all messages; those without text have no vector.
create table vectors (
    message      uuid   not null,
    model        text   not null,
    conversation uuid   not null,
    owner        uuid   not null,
    role         text   not null,
    created_at   bigint not null,
    position     bigint not null,
    -- 0 where there is no vector, else how many numbers it has: f32, little-endian, of length 1 together.
    dimension    bigint not null,
    vector       blob,
    -- Counted from 0 for each owner, model and dimension, and used once.
    slot         bigint,
    primary key (message, model)
);
create index vectors_of_owner on vectors (owner, model, dimension, slot);
create index vectors_of_conversation on vectors (conversation);

-- How many slots were taken.
create table vector_slots (
    owner     uuid   not null,
    model     text   not null,
    dimension bigint not null,
    taken     bigint not null,
    primary key (owner, model, dimension)
);

-- Slots whose block is full, rounded to a byte for each number; `places` is what they are filtered by.
create table vector_blocks (
    owner     uuid   not null,
    model     text   not null,
    dimension bigint not null,
    number    bigint not null,
    places    blob   not null,
    vectors   blob   not null,
    primary key (owner, model, dimension, number)
);

create table vector_favourites (
    conversation uuid not null primary key,
    owner        uuid not null
);
create index vector_favourites_of_owner on vector_favourites (owner);
