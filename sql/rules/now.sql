-- now: the time that every decision rests on: the server's clock, plus an offset that tests move. It goes on within a
-- transaction: read it once, as in where c.run_at < (select pgdial.now()).
--   select pgdial.now();
-- Plans: it replaces the clock of migrations/0001_settings.sql in plpgsql, which keeps its plan: every verb would
-- parse and plan an SQL function anew.
create or replace function pgdial.now() returns timestamptz
language plpgsql volatile parallel safe
as $$
begin
    return clock_timestamp() + (select c.ahead from pgdial.clock c);
end $$;
