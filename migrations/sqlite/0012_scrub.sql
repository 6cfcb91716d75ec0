-- The scrub: which process reads stored files again, until when it has said that it does, when the sizes of all files were
-- looked at last and how far the next look is; and the file that is being read: as far as `position`, with the hash so far.
create table scrub (
    id integer primary key check (id = 1),
    owner text,
    leased_until integer not null,
    sizes_at integer not null,
    sizes_after text,
    sha256 text,
    generation integer,
    modified_ns integer,
    position integer,
    hasher blob,
    marked_at integer
) strict;
insert into scrub (id, leased_until, sizes_at) values (1, 0, 0);
-- Whose turn it is: what was verified longest ago.
create index blob_verified on blob (verified_at, sha256);
