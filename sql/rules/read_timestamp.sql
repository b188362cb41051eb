-- read_timestamp: an RFC 3339 instant with its offset, or null if it is not one. A text without an offset would
-- mean another instant in each session's time zone.
create or replace function pgdial.read_timestamp(p_text text) returns timestamptz
language plpgsql stable strict
as $$
declare
    -- Postgres accepts offsets below 16 hours, RFC 3339 allows up to 23:59.
    v_far text[] := regexp_match(p_text, '^(.+)([+-])(1[6-9]|2[0-3]):?([0-5][0-9])?$');
begin
    if p_text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$' then
        return null;
    end if;
    if v_far is not null then
        return (v_far[1] || 'Z')::timestamptz
            - (v_far[2] || '1')::int * make_interval(hours => v_far[3]::int, mins => coalesce(v_far[4], '0')::int);
    end if;
    return p_text::timestamptz;
exception when others then
    return null;   -- well-formed, but no such day
end $$;
