-- skips: a crowd at the head of a queue that cannot be claimed (a million calls that have expired, or whose
-- numbers have joined the do-not-call list, or whose rows are locked) is walked once, not by each claim, and
-- only a bounded number of rows at a time behind the gate. A claim that ends its walk there returns wait_ms =
-- 0, and the next one continues behind.
-- A place counts for 10 s, then the walk begins anew: a call before it that has become claimable waits at most
-- that long. The sweep removes the crowd meanwhile.
-- Kept in the session, which stays on one server and in one database.

-- skips: the places that still count.
create or replace function pgdial.skips(p_now timestamptz) returns pgdial.skip[]
language plpgsql stable
as $$
declare
    v_known constant text := nullif(current_setting('pgdial.skips', true), '');
begin
    if v_known is null then
        return '{}';
    end if;
    -- Ignored if it is in the future: the clock has gone back.
    return array(select s from unnest(v_known::pgdial.skip[]) s where s.since between p_now - '10 seconds'::interval and p_now);
end $$;

-- skip_past: nothing up to here can be claimed.
create or replace function pgdial.skip_past(p_skip pgdial.skip) returns void
language plpgsql volatile
as $$
begin
    perform set_config('pgdial.skips', (array(
        select k from unnest(pgdial.skips(p_skip.seen_at)) k
        where (k.campaign, k.priority, k.area) is distinct from (p_skip.campaign, p_skip.priority, p_skip.area)) || p_skip)::text, false);
end $$;
