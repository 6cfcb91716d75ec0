-- How many downloads a worker would run at once now; 0 outside its hours, and of a program that does not say. Who runs
-- more than another one that has room leaves a download to that one.
alter table worker add column max_downloads integer not null default 0;
