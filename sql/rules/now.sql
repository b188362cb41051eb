-- now: the clock of migrations/0001_settings.sql, in plpgsql, which keeps its plan: as an SQL
-- function it was parsed and planned anew by every verb, 45 us each time.
create or replace function pgdial.now() returns timestamptz
language plpgsql volatile parallel safe
as $$
begin
    return clock_timestamp() + (select c.ahead from pgdial.clock c);
end $$;
