-- Work that is done once, whatever happens meanwhile (docs/ARCHITECTURE.md, "Jobs").
create table job (
    -- A UUIDv7: newer jobs have greater ids.
    id text not null primary key,
    kind text not null,
    status text not null,
    repo text references model_repo (id) on delete set null,
    -- kind/namespace/name at the time; empty for jobs about the whole store.
    repo_name text not null,
    payload text not null,
    priority integer not null,
    attempts integer not null,
    max_attempts integer not null,
    progress text not null,
    waiting_for text not null,
    error text not null,
    outcome text not null,
    changes text,
    -- Two live jobs never have the same.
    dedup_key text not null,
    -- What a person asked of a running job: 'cancel' or 'pause'. Its worker sees it when it renews the lease.
    wanted text,
    worker text not null,
    lease_until integer not null,
    created_at integer not null,
    run_at integer not null,
    started_at integer,
    finished_at integer
) strict;

create unique index job_live on job (dedup_key) where status in ('pending', 'running', 'paused');
create index job_claim on job (priority desc, id) where status = 'pending';
create index job_running on job (lease_until) where status = 'running';
create index job_status on job (status, id);
create index job_repo on job (repo, id);

create table job_log (
    job text not null references job (id) on delete cascade,
    number integer not null,
    at integer not null,
    level text not null,
    text text not null,
    primary key (job, number)
) strict, without rowid;

-- Processes that run jobs.
create table worker (
    id text not null primary key,
    -- Where its WorkerService listens; empty for the one inside a server.
    address text not null,
    hostname text not null,
    started_at integer not null,
    seen_at integer not null,
    running integer not null
) strict;

-- What happened, for people; old lines are dropped.
create table activity (
    id text not null primary key,
    at integer not null,
    kind text not null,
    text text not null,
    repo_name text not null,
    job text
) strict;

-- Sums over the whole life of this installation.
create table counter (
    name text not null primary key,
    value integer not null
) strict;

alter table model_repo add column registered_at integer;
alter table model_repo add column pinned integer not null default 0;
-- The revision that syncs follow and that the counts are about.
alter table model_repo add column revision text not null default 'main';
-- 0: only on demand.
alter table model_repo add column sync_every_ms integer not null default 0;
alter table model_repo add column synced_at integer;
alter table model_repo add column problem text not null default '';
-- How much there is at `revision`, and how much of it here; `stale` when that has to be counted again.
alter table model_repo add column tip text not null default '';
alter table model_repo add column files integer not null default 0;
alter table model_repo add column files_here integer not null default 0;
alter table model_repo add column bytes integer not null default 0;
alter table model_repo add column bytes_here integer not null default 0;
alter table model_repo add column last_used_at integer;
alter table model_repo add column stale integer not null default 1;

create index model_repo_name on model_repo (repo_id, id);
create index model_repo_stale on model_repo (id) where stale = 1;
create index model_repo_schedule on model_repo (synced_at) where sync_every_ms > 0;
create index model_artifact_sha256 on model_artifact (sha256) where sha256 is not null;
create index model_artifact_oid on model_artifact (oid) where sha256 is null;
create index blob_last_used on blob (last_used_at, sha256);
