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
