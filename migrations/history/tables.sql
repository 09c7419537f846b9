create table conversations (
    id         uuid   not null primary key,
    owner      uuid   not null,
    -- What its owner calls it, and what it is called by what was said in it; each once more in lower case.
    name       text,
    name_key   text,
    title      text,
    title_key  text,
    favourite  bigint not null,
    archived   bigint not null,
    -- How many events have made its features what they are.
    version    bigint not null,
    -- The newest message of the branch that was chosen.
    leaf       uuid,
    messages   bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    -- Where it last changed.
    touched    bigint not null
);
create index conversations_of_owner on conversations (owner, touched);
create index conversations_favourite on conversations (owner, touched) where favourite = 1;
create index conversations_archived on conversations (owner, touched) where archived = 1;

create table messages (
    id           uuid   not null primary key,
    conversation uuid   not null,
    owner        uuid   not null,
    role         text   not null,
    content      text   not null,
    model        text,
    -- What it follows, and whether it is on the branch that was chosen.
    parent       uuid,
    shown        bigint not null,
    -- Which of those that follow it was last shown, where it was ever chosen; else it is the newest.
    next         uuid,
    -- For a reply: what it answers, and what came of it.
    answers           uuid,
    state             text   not null,
    reason            text,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    estimated         bigint not null,
    rating            text,
    created_at        bigint not null,
    updated_at        bigint not null,
    position          bigint not null
);
create index messages_of_owner on messages (owner, position);
-- With what is shown, so that a branch is found among many without a look at the others' rows.
create index messages_of_conversation on messages (conversation, position, shown);
create index messages_after on messages (parent) where parent is not null;
create index messages_first on messages (conversation) where parent is null;
create index messages_replied on messages (owner, position) where answers is not null;
create index messages_awaited on messages (position) where state = 'awaited';
create index messages_awaited_by on messages (owner) where state = 'awaited';
create index messages_awaited_in on messages (conversation, position) where state = 'awaited';

create table owners (
    id       uuid   not null primary key,
    messages bigint not null
);

-- The files that belong to messages; their bytes are kept elsewhere.
create table attachments (
    id           uuid   not null primary key,
    message      uuid   not null,
    conversation uuid   not null,
    owner        uuid   not null,
    name         text   not null,
    media_type   text   not null,
    size         bigint not null,
    -- SHA-256, in hexadecimal digits.
    digest       text   not null,
    -- Under which id their bytes are.
    kept_as      uuid   not null,
    created_at   bigint not null,
    position     bigint not null
);
create index attachments_kept on attachments (kept_as);
create index attachments_of_message on attachments (message, position);
create index attachments_of_conversation on attachments (conversation);
