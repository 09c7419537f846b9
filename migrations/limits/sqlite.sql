-- The states of limits: JSON that only the limit itself reads. They may be lost.
create table if not exists limits (
    key        text    not null primary key,
    state      text    not null,
    expires_at integer not null
);
create index if not exists limits_by_end on limits (expires_at);

-- From where somebody has signed in lately; who they are is a keyed digest.
create table if not exists known_addresses (
    identifier text    not null,
    address    text    not null,
    expires_at integer not null,
    primary key (identifier, address)
);
create index if not exists known_addresses_by_end on known_addresses (expires_at);
