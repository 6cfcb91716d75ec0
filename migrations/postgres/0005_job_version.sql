-- Grows with every change of the row, so that who holds two copies of a job knows the newer one.
alter table job add column version bigint not null default 0;
