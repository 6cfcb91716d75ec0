-- When a person dismissed a failed job; null for all others.
alter table job add column dismissed_at bigint;
