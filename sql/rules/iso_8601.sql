-- iso_8601: a length of time as programs read it, PT5M, whatever the session's intervalstyle.
create or replace function pgdial.iso_8601(p_length interval) returns text
language sql immutable
set intervalstyle = iso_8601
as $$ select p_length::text $$;
