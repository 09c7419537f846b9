-- The log. The columns up to `metadata` are those that postgres-es reads; `position` is the order of the whole log.
create table events (
    position       bigint not null primary key,
    aggregate_type text   not null,
    aggregate_id   text   not null,
    sequence       bigint not null check (sequence >= 1),
    event_type     text   not null,
    event_version  text   not null,
    payload        json   not null,
    metadata       json   not null,
    recorded_at    bigint not null,
    constraint events_stream unique (aggregate_type, aggregate_id, sequence)
);

-- Appends events, and answers with the position before the first of them. Each statement in here sees what was committed
-- before the lock was given, and the lock is held until the commit is visible: so positions have no gaps, and their order is
-- the order of the commits. A guard names a stream that must not have grown beyond a sequence.
create function append_events(
    types text[], ids text[], sequences bigint[], names text[], versions text[], payloads text[], metadatas text[],
    times bigint[], guard_types text[], guard_ids text[], guard_sequences bigint[]
) returns bigint language plpgsql volatile as $$
declare
    head bigint;
begin
    perform pg_advisory_xact_lock(4873510238471);
    head := coalesce((select position from events order by position desc limit 1), 0);
    insert into events
    select head + e.n, e.type, e.id, e.sequence, e.name, e.version, e.payload::json, e.metadata::json, e.time
    from unnest(types, ids, sequences, names, versions, payloads, metadatas, times) with ordinality
        as e (type, id, sequence, name, version, payload, metadata, time, n);
    -- Last, so that it sees what others of the same batch append, too.
    if cardinality(guard_types) > 0 and exists (
        select from unnest(guard_types, guard_ids, guard_sequences) as g (type, id, sequence)
        join events e on e.aggregate_type = g.type and e.aggregate_id = g.id and e.sequence = g.sequence + 1
    ) then
        raise unique_violation using message = 'a guarded stream has grown';
    end if;
    return head;
end $$;

-- Appends each slice of the events for itself: a conflict undoes that slice alone. Answers with the position before each
-- slice, null where there was a conflict.
create function append_events_each(
    types text[], ids text[], sequences bigint[], names text[], versions text[], payloads text[], metadatas text[],
    times bigint[], guard_types text[], guard_ids text[], guard_sequences bigint[],
    event_ends int[], guard_ends int[]
) returns bigint[] language plpgsql volatile as $$
declare
    heads bigint[] := '{}';
    head  bigint;
    e     int := 0;
    g     int := 0;
begin
    for i in 1 .. cardinality(event_ends) loop
        begin
            head := append_events(
                types[e + 1:event_ends[i]], ids[e + 1:event_ends[i]], sequences[e + 1:event_ends[i]],
                names[e + 1:event_ends[i]], versions[e + 1:event_ends[i]], payloads[e + 1:event_ends[i]],
                metadatas[e + 1:event_ends[i]], times[e + 1:event_ends[i]],
                guard_types[g + 1:guard_ends[i]], guard_ids[g + 1:guard_ends[i]], guard_sequences[g + 1:guard_ends[i]]);
        exception when unique_violation then
            head := null;
        end;
        heads := heads || head;
        e := event_ends[i];
        g := guard_ends[i];
    end loop;
    return heads;
end $$;
