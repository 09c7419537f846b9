create table activity (
    position      bigint not null primary key,
    at            bigint not null,
    kind          text   not null,
    user_id       uuid,
    token_id      uuid,
    actor         uuid,
    actor_session uuid,
    actor_key     uuid,
    outcome       text   not null,
    reason        text,
    ip            text,
    user_agent    text,
    request_id    text   not null,
    node          text
);
create index activity_of_user on activity (user_id, position);
create index activity_of_kind on activity (kind, position);
create index activity_of_outcome on activity (outcome, position);
create index activity_from on activity (ip, position);
create index activity_at on activity (at, position);

create table sign_ins (
    id           uuid   not null primary key,
    user_id      uuid   not null,
    started_at   bigint not null,
    last_used_at bigint not null,
    expires_at   bigint not null,
    ip           text,
    user_agent   text,
    ended_at     bigint,
    ended_reason text,
    position     bigint not null
);
create index sign_ins_open on sign_ins (user_id, position) where ended_at is null;

create table api_keys (
    id         uuid   not null primary key,
    user_id    uuid   not null,
    name       text   not null,
    scopes     text   not null,
    created_at bigint not null,
    expires_at bigint,
    rotated_at bigint,
    revoked_at bigint,
    position   bigint not null
);
create index api_keys_of_user on api_keys (user_id, (revoked_at is not null), position desc);

create table known_users (
    id       uuid not null primary key,
    username text,
    email    text,
    name     text
);
