-- repeats_due: dials in doubt whose request is to be sent again now, with the same key, on
-- trunks that declare that their provider honours it (P1). Rows are booked (look_up_at moves
-- on), so that of several workers one sends.
-- p_most: of each trunk so many at most.
-- Answers a JSON array shaped as the claim's. The answer goes to `dialed`; any other than
-- "placed" proves nothing and leaves the call in doubt.
-- Only within 5 minutes of the claim (the provider must know the key for 10), and only where
-- a new dial would be right too: the first request may not have arrived, and then this one rings.
-- So it takes its turn in the pace, behind the gate, and an open breaker probes with claims alone.
-- Races: from here on the worker of the claim is not believed when it says that its dial
-- rings nobody (`defer` and `settle` look at repeated_at), and what the provider did not
-- know so far proves nothing (not_found starts again).
-- Each row in a guard of its own. Index: calls_in_flight (in flight only).
create or replace function pgdial.repeats_due(p_trunks text[], p_most int[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_now timestamptz := pgdial.now();
    v_call pgdial.calls;
    v_due jsonb := '[]';
begin
    -- Most of the time there is none, and then nobody waits at the gate for it.
    if not exists (select from pgdial.repeatable(p_trunks, p_most, v_now)) or not pgdial.gate() then
        return v_due;
    end if;
    v_now := pgdial.now();
    for v_call in
        select c.* from pgdial.calls c where c.id = any (array(select r from pgdial.repeatable(p_trunks, p_most, v_now) r))
        order by c.claimed_at for update skip locked
    loop
        begin
            v_due := v_due || coalesce(pgdial.book_repeat(v_call, v_now), '[]');
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, v_now);
        end;
    end loop;
    return v_due;
end $$;

-- repeatable: the dials in doubt that may be sent again now, of each trunk the oldest.
create or replace function pgdial.repeatable(p_trunks text[], p_most int[], p_now timestamptz) returns setof uuid
language sql stable
as $$
    select d.id
    from unnest(p_trunks, p_most) a (trunk, most)
         join pgdial.trunks t on t.name = a.trunk
         left join lateral pgdial.breaker(t.name, p_now) b on true
         cross join lateral (
             select c.id from pgdial.calls c join pgdial.campaigns g on g.name = c.campaign
             where c.state = 'unresolved' and c.trunk = a.trunk and not g.paused
               and pgdial.is_repeatable(c, p_now) and pgdial.look_up_due(c) <= p_now
             order by c.claimed_at limit a.most) d
    where t.idempotent and not t.paused and coalesce(t.held_until <= p_now, true)
      and b.allowed is null and pgdial.cluster_changed() is null
$$;

-- is_repeatable: may the request of this dial in doubt be sent again, if its trunk allows it?
create or replace function pgdial.is_repeatable(p_call pgdial.calls, p_now timestamptz) returns boolean
language sql stable
as $$
    select p_call.state = 'unresolved' and p_call.cancel_requested_at is null
       and p_now <= p_call.claimed_at + '5 minutes'::interval
       and (p_call.expires_at is null or p_call.expires_at > p_now)
       -- Adopted by a recovery: nobody knows how old its request is.
       and p_call.claimed_by <> '00000000-0000-0000-0000-000000000000'
       and not exists (select from pgdial.do_not_call d where d.phone = p_call.phone)
$$;

-- book_repeat: one of them, whose row is ours. Null: its trunk's pace has no room now.
-- The deadline moves on with the request, by the limits that it names.
create or replace function pgdial.book_repeat(p_call pgdial.calls, p_now timestamptz) returns jsonb
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_campaign pgdial.campaigns;
    v_call pgdial.calls;
begin
    if not pgdial.lock_pace(p_call.trunk)
       or exists (select from pgdial.trunks t cross join lateral pgdial.pace(t, p_now) p
                  where t.name = p_call.trunk and p.allowed <= 0) then
        return null;
    end if;
    perform pgdial.spend_pace(p_call.trunk, 1, p_now);
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_call.campaign;
    update pgdial.calls c
    set repeated_at = p_now, look_up_at = p_now + greatest('5 seconds', (p_now - c.claimed_at) / 2),
        not_found = 0, not_found_since = null,
        deadline_at = greatest(c.deadline_at,
            p_now + v_campaign.ring_timeout + v_campaign.max_duration + '2 minutes'::interval)
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text = 'unresolved'
    returning c.* into v_call;
    perform pgdial.note(v_call, 'repeated', p_now,
        jsonb_build_object('why', 'nobody knows whether it rings; sent again with the same key'));
    return pgdial.dial_order(v_call, v_campaign.ring_timeout, v_campaign.max_duration, p_now + '1 minute'::interval);
end $$;

-- hold_off: the provider answered a repetition that it has no room; its trunk waits.
create or replace function pgdial.hold_off(p_trunk text, p_retry_after_sec int) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select pgdial.breaker_hold_off(p_trunk, coalesce(p_retry_after_sec, 1) * '1 second'::interval, pgdial.now())
$$;
