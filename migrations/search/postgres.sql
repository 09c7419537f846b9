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
    position     bigint   not null primary key,
    id           uuid     not null unique,
    conversation uuid     not null,
    owner        uuid     not null,
    role         text     not null,
    content      text     not null,
    created_at   bigint   not null,
    words        tsvector not null
);
-- What is compared stays in the row; what is shown goes elsewhere first.
alter table search_messages alter words set storage main;
create index search_messages_of_owner on search_messages (owner, position);
create index search_messages_in on search_messages (conversation, position);
create index search_messages_at on search_messages (owner, created_at, position);
-- Without a list of what is new, which grows until a reader has to go through all of it.
create index search_messages_with on search_messages using gin (words) with (fastupdate = off);
