-- A row is rewritten again and again: in place, where there is room for it. Its version tells whether it is still as it was. One that
-- is made again begins with the time, in microseconds: it comes to no version that an older one had.
alter table limits set (fillfactor = 50);
alter table limits add column version bigint not null default 0;

-- Keeps some states, whose rows the caller has locked.
create function write_limits(kept text[], states text[], ends bigint[]) returns void language plpgsql as $$
begin
    update limits set state = given.state, expires_at = given.expires_at, version = limits.version + 1
    from unnest(kept, states, ends) as given (key, state, expires_at)
    where limits.key = given.key;
end
$$;

-- The same, where all that was read is still as it was; else nothing. Everybody locks in the order of the keys.
create function keep_limits(read text[], versions bigint[], kept text[], states text[], ends bigint[])
returns boolean language plpgsql as $$
begin
    perform from limits join unnest(read, versions) as given (key, version)
        on limits.key = given.key and limits.version = given.version
        order by limits.key for update of limits;
    declare
        unchanged bigint;
    begin
        get diagnostics unchanged = row_count;
        if unchanged < cardinality(read) then
            return false;
        end if;
    end;
    perform write_limits(kept, states, ends);
    return true;
end
$$;
