-- What lies beside the streams of sign-ins, and may be lost: the sealed successor of each refresh token, and when an access
-- token of that generation was first seen.
create table refresh_successors (
    family     uuid   not null,
    generation integer not null,
    owner      uuid   not null,
    epoch      integer not null,
    sealed     blob,
    made_at    integer not null,
    seen_at    integer,
    primary key (family, generation)
);
create index refresh_successors_by_age on refresh_successors (made_at);
create index refresh_successors_sealed on refresh_successors (made_at) where sealed is not null;
create index refresh_successors_of_owner on refresh_successors (owner);

-- Keys that sign access tokens, sealed with the service's secret.
create table signing_keys (
    kid     uuid   not null primary key,
    public  blob  not null,
    sealed  blob  not null,
    made_at integer not null
);

-- What a node has to know of the last minutes when it starts: which access tokens are good no more.
create index events_that_end_tokens on events (recorded_at)
    where event_type in ('TokenRevoked', 'SignInsEnded', 'ApiKeyRevoked');
