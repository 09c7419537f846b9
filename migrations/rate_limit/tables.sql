create table limit_minutes (
    -- A user; the nil UUID, which no user has, for the service as a whole.
    subject  uuid   not null,
    -- Minutes since 1970.
    minute   bigint not null,
    admitted bigint not null,
    refused  bigint not null,
    -- When the newest of the admitted was; null where there is none.
    last_at  bigint,
    primary key (subject, minute)
);
