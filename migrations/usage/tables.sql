-- Days since 1970, in UTC.
create table usage_days (
    owner             uuid   not null,
    day               bigint not null,
    model             text   not null,
    replies           bigint not null,
    completed         bigint not null,
    stopped           bigint not null,
    interrupted       bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    estimated         bigint not null,
    -- Null where nothing had a price.
    cost_micros       bigint,
    primary key (owner, day, model)
);

-- What was spent with a key, each reply on the day of its end.
create table usage_key_days (
    api_key           uuid   not null,
    day               bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    cost_micros       bigint not null,
    primary key (api_key, day)
);

-- Replies that are awaited, and with which key they were asked for: their ends do not say so.
create table usage_asked (
    reply   uuid not null primary key,
    api_key uuid not null
);
