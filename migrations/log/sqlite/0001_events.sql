-- The log. The columns up to `metadata` are those that sqlite-es reads; `position` is the order of the whole log.
create table events (
    position       integer not null primary key,
    aggregate_type text    not null,
    aggregate_id   text    not null,
    sequence       integer not null check (sequence >= 1),
    event_type     text    not null,
    event_version  text    not null,
    payload        text    not null,
    metadata       text    not null,
    recorded_at    integer not null,
    constraint events_stream unique (aggregate_type, aggregate_id, sequence)
);
