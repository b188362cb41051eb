-- repeats_due: dials in doubt whose request is to be sent again now, with the same key, on
-- trunks that declare that their provider honours it (P1). Rows are booked (look_up_at moves
-- on), so that of several workers one sends.
-- Answers a JSON array shaped as the claim's. The answer goes to `dialed`; any other than
-- "placed" proves nothing and leaves the call in doubt.
-- Not for a call that nobody wishes any more, nor for a number that nobody may ring: the
-- first request may not have arrived, and then this one rings. Only within 80 s of the claim:
-- a request takes 40 s at most, and a call placed within 2 minutes of its claim is over
-- by its deadline.
-- Races: from here on the worker of the claim is not believed when it says that its dial
-- rings nobody (`defer` and `settle` look at repeated_at), and what the provider did not
-- know so far proves nothing (not_found starts again).
-- Index: calls_deadline (in flight only).
create or replace function pgdial.repeats_due(p_trunks text[], p_limit int) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_call pgdial.calls;
    v_due jsonb := '[]';
begin
    for v_call in
        select c.* from pgdial.calls c
             join pgdial.trunks t on t.name = c.trunk
             join pgdial.campaigns g on g.name = c.campaign
        where c.state = 'unresolved'
          and c.trunk = any (p_trunks) and t.idempotent and not t.paused and not g.paused
          and pgdial.is_repeatable(c, v_now) and pgdial.look_up_due(c) <= v_now
          and pgdial.cluster_changed() is null
          and coalesce((select b.allowed from pgdial.breaker(c.trunk, v_now) b), 1) > 0
        order by c.claimed_at limit p_limit for update of c skip locked
    loop
        update pgdial.calls c
        set repeated_at = v_now, look_up_at = v_now + greatest('5 seconds', (v_now - c.claimed_at) / 2),
            not_found = 0, not_found_since = null
        where c.id = v_call.id and c.claim_no = v_call.claim_no and c.state::text = 'unresolved';
        perform pgdial.note(v_call, 'repeated', v_now,
            jsonb_build_object('why', 'nobody knows whether it rings; sent again with the same key'));
        v_due := v_due || (
            select pgdial.dial_order(v_call, g.ring_timeout, g.max_duration, v_call.claimed_at + '2 minutes'::interval)
            from pgdial.campaigns g where g.name = v_call.campaign);
    end loop;
    return v_due;
end $$;

-- is_repeatable: may the request of this dial in doubt be sent again, if its trunk allows it?
create or replace function pgdial.is_repeatable(p_call pgdial.calls, p_now timestamptz) returns boolean
language sql stable
as $$
    select p_call.state = 'unresolved' and p_call.cancel_requested_at is null
       and p_now <= p_call.claimed_at + '80 seconds'::interval
       and (p_call.expires_at is null or p_call.expires_at > p_now)
       and not exists (select from pgdial.do_not_call d where d.phone = p_call.phone)
$$;
