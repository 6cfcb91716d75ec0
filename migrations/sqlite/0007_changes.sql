-- Grows with every file that is put under a blob's name, over all blobs: a file that was opened before is told from it.
alter table blob add column generation integer not null default 0;
create table blob_generation (last integer not null);
insert into blob_generation (last) values (0);
