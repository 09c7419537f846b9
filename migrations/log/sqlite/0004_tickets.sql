-- Tickets that open a socket, once and soon: the digest of each, and as JSON what its holder has shown to get it. They may
-- be lost.
create table tickets (
    digest     blob    not null primary key,
    proof      text    not null,
    expires_at integer not null
);
create index tickets_by_end on tickets (expires_at);
