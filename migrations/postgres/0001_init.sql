-- Times are milliseconds since 1970 (UTC), ids are UUIDv7 as text, hashes lower-case hex.

create table setting (
    name text collate "C" not null primary key,
    value text not null
);

create table model_repo (
    id text not null primary key,
    kind text not null,
    vendor text not null,
    name text collate "C" not null,
    repo_id text collate "C" not null,
    source text not null,
    status text not null,
    visibility text not null,
    -- When upstream last said what the visibility is.
    checked_at bigint not null,
    created_at bigint not null,
    unique (kind, repo_id)
);

-- Names under which upstream redirects to a repository: renamed, moved, other letter case.
create table repo_alias (
    kind text not null,
    alias text collate "C" not null,
    repo_id text collate "C" not null,
    seen_at bigint not null,
    primary key (kind, alias)
);

create table repo_revision (
    repo text not null references model_repo (id) on delete cascade,
    name text collate "C" not null,
    commit_id text not null,
    checked_at bigint not null,
    primary key (repo, name)
);

create table repo_commit (
    repo text not null references model_repo (id) on delete cascade,
    commit_id text not null,
    -- The repository's info as upstream gave it for this commit, without traces of Xet.
    info text,
    -- Whether model_artifact holds every entry of this commit: only then absence is proven.
    tree_complete boolean not null,
    primary key (repo, commit_id)
);

create table model_artifact (
    repo text not null,
    commit_id text not null,
    file_path text collate "C" not null,
    -- The folder that the entry stands in, empty at the root.
    parent text collate "C" not null,
    -- 'file' or 'directory'
    entry text not null,
    size_bytes bigint not null,
    -- The object id in the git tree; unknown for a file learned from a HEAD.
    oid text,
    -- The sha256 of an LFS file. Without it the content is named by the oid.
    sha256 text,
    xet_hash text,
    primary key (repo, commit_id, file_path),
    foreign key (repo, commit_id) references repo_commit (repo, commit_id) on delete cascade
);

create index model_artifact_parent on model_artifact (repo, commit_id, parent, file_path);

-- Paths that upstream said are not in a commit whose whole tree is not known.
create table missing_path (
    repo text not null,
    commit_id text not null,
    file_path text collate "C" not null,
    seen_at bigint not null,
    primary key (repo, commit_id, file_path),
    foreign key (repo, commit_id) references repo_commit (repo, commit_id) on delete cascade
);

-- A row is the promise that the file is complete, verified and synced.
create table blob (
    sha256 text not null primary key,
    git_oid text,
    size_bytes bigint not null,
    created_at bigint not null,
    verified_at bigint not null,
    last_used_at bigint not null
);

create index blob_git_oid on blob (git_oid);

-- Contents of which a wrong body was sent to somebody (docs/ARCHITECTURE.md, "Wrong bodies").
create table tainted_content (
    content text not null primary key,
    until_at bigint not null
);

-- Upstream's last answer to one token on one repository. The token is stored as a keyed digest.
create table access_grant (
    repo text not null references model_repo (id) on delete cascade,
    token_digest text not null,
    allowed boolean not null,
    checked_at bigint not null,
    primary key (repo, token_digest)
);

-- Answers of passed-through metadata routes, for when upstream is away.
create table remembered_answer (
    name text collate "C" not null primary key,
    content_type text not null,
    link text,
    body bytea not null,
    stored_at bigint not null
);

create index remembered_answer_age on remembered_answer (stored_at);
