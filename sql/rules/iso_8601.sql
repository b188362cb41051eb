-- iso_8601: an interval in ISO 8601, such as PT5M, whatever the session's intervalstyle. Between hours and seconds
-- there are minutes, as RFC 3339 wants it.
create or replace function pgdial.iso_8601(p_length interval) returns text
language sql immutable
set intervalstyle = iso_8601
as $$ select regexp_replace(p_length::text, 'H([0-9.-]+S)', 'H0M' || chr(92) || '1') $$;
