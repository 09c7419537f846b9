-- How far the log is embedded by a provider's model, and how many numbers each of its vectors has. They may be lost: then
-- the log is read from its beginning, and what has a vector is passed by.
create table embedders (
    model     text   not null primary key,
    position  bigint not null,
    dimension bigint
);
