-- read_timestamp: an RFC 3339 instant with its offset, or null when it is none.
-- A text without an offset would mean another instant in each session's time zone.
create or replace function pgdial.read_timestamp(p_text text) returns timestamptz
language plpgsql stable
as $$
begin
    if p_text !~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)$' then
        return null;
    end if;
    return p_text::timestamptz;
exception when others then
    return null;   -- shaped right, but no such day
end $$;
