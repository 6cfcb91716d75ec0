-- What lies in the object store: written when an upload is complete and its size was confirmed. Without a row there is no
-- object, whatever the bucket has.
create table object (
    sha256 text primary key,
    git_oid text,
    size_bytes integer not null,
    stored_at integer not null
) strict;
create index object_git on object (git_oid, size_bytes) where git_oid is not null;
-- Who uploads a blob now, until when it has said that it does, and the object store's name for an upload in parts: to be
-- aborted by whoever finds it left.
create table object_upload (
    sha256 text primary key,
    upload_id text,
    owner text not null,
    leased_until integer not null
) strict;
