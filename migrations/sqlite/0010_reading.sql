-- Which reading of a listing has brought an entry and nothing else has; null as soon as anything else did, or somebody asked
-- for it. When a reading ends before the listing does, what it alone has brought is removed.
alter table model_artifact add column reading text;
