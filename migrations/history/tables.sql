create table conversations (
    id         uuid   not null primary key,
    owner      uuid   not null,
    messages   bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    position   bigint not null
);
create index conversations_of_owner on conversations (owner, position);

create table messages (
    id           uuid   not null primary key,
    conversation uuid   not null,
    owner        uuid   not null,
    role         text   not null,
    content      text   not null,
    model        text,
    created_at   bigint not null,
    position     bigint not null
);
create index messages_of_owner on messages (owner, position);
create index messages_of_conversation on messages (conversation, position);

create table owners (
    id       uuid   not null primary key,
    messages bigint not null
);
