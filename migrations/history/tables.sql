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
    -- For a reply: what it answers, and what came of it.
    answers           uuid,
    state             text   not null,
    reason            text,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    estimated         bigint not null,
    created_at        bigint not null,
    position          bigint not null
);
create index messages_of_owner on messages (owner, position);
create index messages_of_conversation on messages (conversation, position);
create index messages_replied on messages (owner, position) where answers is not null;
create index messages_awaited on messages (position) where state = 'awaited';
create index messages_awaited_by on messages (owner) where state = 'awaited';
create index messages_awaited_in on messages (conversation, position) where state = 'awaited';

create table owners (
    id       uuid   not null primary key,
    messages bigint not null
);
