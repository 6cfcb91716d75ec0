-- When the file was modified that a blob is a hard link to, as it was at its import; null for a blob that is the store's alone.
alter table blob add column linked_ns bigint;
