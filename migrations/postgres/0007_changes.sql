-- Grows with every file that is put under a blob's name, over all blobs: a file that was opened before is told from it.
alter table blob add column generation bigint not null default 0;
create sequence blob_generation;

-- What was changed and other processes may keep in memory (docs/ARCHITECTURE.md, "Changes"). The newest 20 000 are kept.
create table invalidation (
    seq bigserial not null primary key,
    kind text not null,
    key text collate "C" not null,
    -- Who wrote it, and knows it already.
    process text not null,
    -- For people only.
    at bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint
);
