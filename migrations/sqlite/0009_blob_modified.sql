-- When the file of a blob was modified last, as it was when its bytes were proven: another time means that they have to be
-- proven again. Null where an earlier version did not note it.
alter table blob rename column linked_ns to modified_ns;
-- The file is a hard link to one outside of the store.
alter table blob add column is_linked integer not null default 0;
update blob set is_linked = 1 where modified_ns is not null;
