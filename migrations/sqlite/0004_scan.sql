-- Where a commit is known from. Null: from upstream. 'scanned': from a cache on disk, and upstream has not been
-- asked for its listing yet. 'local': it was made here of a folder, and upstream knows nothing of it.
alter table repo_commit add column origin text;

-- Files that a scan has hashed: what has not changed is not hashed again.
create table scanned_file (
    -- Bytes outside of printable ASCII are percent-encoded.
    path text not null primary key,
    size_bytes integer not null,
    modified_ns integer not null,
    device integer not null,
    inode integer not null,
    sha256 text not null,
    git_oid text not null,
    scanned_at integer not null
) strict, without rowid;
