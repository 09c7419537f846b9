-- Who may look where, and what is a favourite.
create table search_conversations (
    id        uuid   not null primary key,
    owner     uuid   not null,
    favourite bigint not null
);
create index search_favourites on search_conversations (owner, id) where favourite = 1;

-- Replies that are being made: what their end does not say.
create table search_awaited (
    id           uuid   not null primary key,
    conversation uuid   not null,
    owner        uuid   not null,
    created_at   bigint not null
);
create index search_awaited_in on search_awaited (conversation);

create table search_messages (
    -- Where its text came into the log: for a reply, where it ended.
    position     integer not null primary key,
    id           uuid    not null unique,
    conversation uuid    not null,
    owner        uuid    not null,
    role         text    not null,
    content      text    not null,
    created_at   bigint  not null
);
create index search_messages_in on search_messages (conversation);
create index search_messages_at on search_messages (owner, created_at, position);

-- A row's id is the message's position. Words come cut and folded, so that a space is all that parts them. After the seven
-- characters of its owner's mark a beginning of two or three letters is that of very many words: these have lists of their own.
create virtual table search_words using fts5 (
    words, tags, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '9 10'
);
