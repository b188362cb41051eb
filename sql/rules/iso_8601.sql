-- iso_8601: an interval in ISO 8601, such as PT5M, whatever the session's intervalstyle.
create or replace function pgdial.iso_8601(p_length interval) returns text
language sql immutable
set intervalstyle = iso_8601
as $$ select p_length::text $$;
