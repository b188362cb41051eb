-- repeats_due: dials in doubt whose request is to be sent again now, with the same key, on trunks whose provider
-- honours it (P1, trunk_terms). Rows are booked (look_up_at moves on), so that only one of several
-- workers sends.
-- p_most: the maximum per trunk.
-- Returns a JSON array shaped like the claim's. The provider's response goes to `dialed`; anything but "placed"
-- proves nothing and leaves the call in doubt.
-- Only within 5 minutes of the claim (the provider must remember the key for 10), and only where a new dial
-- would be allowed too: the first request may not have arrived, and then this one rings. So it takes its turn
-- in the pace, behind the gate; an open breaker probes with claims only.
-- Races: from here on the claiming worker is not believed when it reports that its dial rings nobody (`defer`
-- and `settle` check repeated_at), and earlier "not found" replies prove nothing (not_found starts again).
-- Each row in a guard of its own. Index: calls_in_flight (in flight only).
create or replace function pgdial.repeats_due(p_trunks text[], p_most int[], p_accounts text[] default null) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_now timestamptz := pgdial.now();
    v_call pgdial.calls;
    v_due jsonb := '[]';
begin
    -- Usually there is none, and then nothing waits at the gate.
    if not exists (select from pgdial.repeatable(p_trunks, p_most, p_accounts, v_now)) or not pgdial.gate() then
        return v_due;
    end if;
    v_now := pgdial.now();
    for v_call in
        select c.* from pgdial.calls c where c.id = any (array(select r from pgdial.repeatable(p_trunks, p_most, p_accounts, v_now) r))
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

-- repeatable: the dials in doubt that may be sent again now, the oldest of each trunk.
create or replace function pgdial.repeatable(p_trunks text[], p_most int[], p_accounts text[], p_now timestamptz) returns setof uuid
language sql stable
as $$
    select d.id
    from unnest(p_trunks, p_most) a (trunk, most)
         join pgdial.trunks t on t.name = a.trunk
         left join lateral pgdial.breaker(t.name, p_now) b on true
         cross join lateral (
             select c.id from pgdial.calls c join pgdial.campaigns g on g.name = c.campaign
                  cross join lateral pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) e
             where c.state = 'unresolved' and c.trunk = a.trunk and e.idempotent and not g.paused
               and pgdial.is_its_account(c, p_trunks, p_accounts)
               and pgdial.is_repeatable(c, p_now) and pgdial.look_up_due(c) <= p_now
             order by c.claimed_at limit a.most) d
    where not t.paused and coalesce(t.held_until <= p_now, true)
      and b.allowed is null and pgdial.cluster_changed() is null
$$;

-- is_repeatable: may the request of this dial in doubt be sent again, provided its trunk allows it?
create or replace function pgdial.is_repeatable(p_call pgdial.calls, p_now timestamptz) returns boolean
language sql stable
as $$
    select p_call.state = 'unresolved' and p_call.cancel_requested_at is null
       and p_now <= p_call.claimed_at + '5 minutes'::interval
       and (p_call.expires_at is null or p_call.expires_at > p_now)
       and pgdial.is_on(p_call.campaign, p_now, p_now + pgdial.lease(p_call))
       -- Adopted by a recovery: the age of its request is unknown.
       and p_call.claimed_by <> '00000000-0000-0000-0000-000000000000'
       and pgdial.forbidden(p_call, p_call.phone, p_now) is null
       and pgdial.is_within_hours(p_call, p_now, p_now + pgdial.lease(p_call))
$$;

-- book_repeat: book one whose row we hold. Null: its trunk's pace has no room now. The deadline moves on with
-- the request.
create or replace function pgdial.book_repeat(p_call pgdial.calls, p_now timestamptz) returns jsonb
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_call pgdial.calls := p_call;
begin
    if not pgdial.lock_pace(p_call.trunk)
       or exists (select from pgdial.trunks t cross join lateral pgdial.pace(t, p_now) p
                  where t.name = p_call.trunk and p.allowed <= 0) then
        return null;
    end if;
    perform pgdial.spend_pace(p_call.trunk, 1, p_now);
    v_call.repeated_at := p_now;
    update pgdial.calls c
    set repeated_at = p_now, deadline_at = greatest(c.deadline_at, pgdial.own_deadline(v_call)),
        look_up_at = p_now + greatest('5 seconds', (p_now - c.claimed_at) / 2),
        not_found = 0, not_found_since = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text = 'unresolved'
    returning c.* into v_call;
    perform pgdial.note(v_call, 'repeated', p_now,
        jsonb_build_object('why', 'nobody knows whether it rings; sent again with the same key'));
    return pgdial.dial_order(v_call, p_now + pgdial.lease(v_call));
end $$;

-- hold_off: the provider had no capacity for the repeat of this dial. What that says about its trunk is
-- weighed; the call stays in doubt.
create or replace function pgdial.hold_off(p_id uuid, p_retry_after_sec bigint, p_why text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c where c.id = p_id and c.trunk is not null;
    if found then
        perform pgdial.weigh(v_call, 'capacity', p_why, pgdial.asked_wait(to_jsonb(p_retry_after_sec)), pgdial.now());
    end if;
end $$;
