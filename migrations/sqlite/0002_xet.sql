-- The Xet hash of a blob, for content that upstream gave none for.
alter table blob add column xet_hash text;

-- What a Xet client asks for: content by its Xet hash, within one repository.
create index model_artifact_xet on model_artifact (repo, xet_hash) where xet_hash is not null;
-- What gets a hash when its content is published.
create index model_artifact_without_xet on model_artifact (sha256) where sha256 is not null and xet_hash is null;
