-- sweep: settle what time has overtaken. Every worker runs it; any of them may die.
-- p_keep: how long finished calls are kept; null = for ever. p_limit: rows of each kind.
-- p_accounts: where these trunks dial (is_its_account).
-- Returns wait_ms (until the next row falls due, at most 30 s), counts, and cancels: live calls with a cancel
-- request, for the caller to ask their providers.
-- Races: webhooks, late dial results and other sweeps. Rows are taken with skip locked, each in a guard of its
-- own, so that one that cannot be updated (a constraint) does not hold up the others: it is noted and put off.
create or replace function pgdial.sweep(
    p_trunks text[], p_keep interval, p_limit int default 100, p_accounts text[] default null,
    out wait_ms bigint, out counts jsonb, out cancels jsonb
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_kind text;
    v_n int;
begin
    counts := '{}';
    foreach v_kind in array array['unresolved', 'not_placed', 'unknown', 'expired', 'suppressed', 'placed', 'unmatched', 'parked_applied', 'removed', 'guarded'] loop
        begin
            v_n := case v_kind
                when 'unresolved' then pgdial.sweep_leases(v_now, p_limit)
                when 'not_placed' then pgdial.sweep_unheard(v_now, p_limit)
                when 'unknown' then pgdial.sweep_deadlines(v_now, p_limit)
                when 'expired' then pgdial.sweep_expiries(v_now, p_limit * 20)
                when 'suppressed' then pgdial.sweep_suppressed(v_now, p_limit * 20)
                when 'placed' then pgdial.sweep_unplaced(v_now, p_limit * 20)
                when 'unmatched' then pgdial.sweep_unmatched(v_now, p_limit * 5)
                when 'parked_applied' then pgdial.sweep_parked(v_now, p_limit)
                when 'removed' then pgdial.sweep_finished(v_now, p_keep, p_limit * 10)
                when 'guarded' then pgdial.sweep_goals(v_now) end;
        exception when others then
            -- One guard per kind, around those of the rows: a failing kind does not stop the others.
            raise warning 'pgdial: sweep of % failed: % (%)', v_kind, sqlerrm, sqlstate;
            v_n := 0;
        end;
        counts := counts || jsonb_build_object(v_kind, v_n);
    end loop;

    cancels := coalesce((
        select jsonb_agg(jsonb_build_object('id', c.id, 'claim_no', c.claim_no, 'trunk', c.trunk,
                                            'provider_call_id', c.provider_call_id))
        from pgdial.calls c
        where c.state in ('dialing', 'unresolved', 'in_call') and c.trunk = any (p_trunks)
          and c.cancel_requested_at is not null and c.provider_call_id is not null
          and (select t.cancels from pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) t)
          -- A copy has calls that are not its own.
          and pgdial.is_its_account(c, p_trunks, p_accounts) and pgdial.cluster_changed() is null), '[]');
    wait_ms := pgdial.sweep_due(v_now, p_keep, p_limit, counts);
end $$;

-- sweep_due: milliseconds until the next row falls due; 0 while batches come back full, a second while a due
-- row is left over, so that one locked row does not cause a busy loop.
create or replace function pgdial.sweep_due(p_now timestamptz, p_keep interval, p_limit int, p_counts jsonb)
returns bigint
language sql stable
as $$
    select case
        when exists (select from jsonb_each_text(p_counts) c where c.value::int >= p_limit) then 0
        else ceil(extract(epoch from greatest('10 milliseconds', least('30 seconds', (
            -- Due rows that remain were locked, or could not be updated.
            select min(case when t.at <= p_now then p_now + '1 second' else t.at end) from (values
                ((select min(least(c.deadline_at, case when c.state = 'dialing' then c.lease_until end)) from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call'))),
                ((select min(c.expires_at) from pgdial.calls c where c.state = 'waiting' and c.expires_at is not null)),
                ((select p_now + '10 seconds' from pgdial.campaigns g
                  where not g.paused and (g.goal_count is not null or g.budget is not null or g.answer_guard_last is not null) limit 1)),
                ((select min(g.ends_at) from pgdial.campaigns g
                  where exists (select from pgdial.calls c where c.state = 'waiting' and c.campaign = g.name))),
                ((select p_now from (select c.id from pgdial.calls c where c.state = 'waiting' and c.area = 0 order by c.id limit 1) c)),
                ((select min(pgdial.look_up_due(c))
                  from pgdial.calls c cross join lateral pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) t
                  where c.state in ('unresolved', 'in_call')
                    and (t.is_asked or t.idempotent and pgdial.is_repeatable(c, p_now)))),
                -- Nothing wakes the sweep for a call that is accepted from now on.
                ((select p_now + min(pgdial.look_up_after(g.ring_timeout + g.max_duration))
                  from pgdial.campaigns g cross join lateral pgdial.trunk_terms(g.trunk) t where t.look_up <> 'none')),
                -- It depends on reports about other calls: checked every 5 s from then on.
                ((select greatest(min(pgdial.unheard_at(c, t.reports_within)), p_now + '5 seconds')
                  from pgdial.calls c cross join lateral pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) t
                  where c.state = 'unresolved' and t.reports_within is not null having count(*) > 0)),
                ((select min(w.try_at) from pgdial.webhook_events w where w.verdict = 'parked' and w.call_id is not null)),
                ((select min(w.try_at) from pgdial.webhook_events w where w.verdict = 'parked' and w.call_id is null)),
                -- Only a short p_keep is worth waking for, and at most once a second: a row that is kept for
                -- another reason must not cause a busy loop.
                (case when p_keep < '1 hour' then (select greatest(min(c.ended_at) + p_keep, p_now + '1 second')
                  from pgdial.calls c where c.ended_at is not null having count(*) > 0) end)
            ) t (at)) - p_now))) * 1000)::bigint end
$$;

-- sweep_leases: dialing -> unresolved: the worker that claimed it never recorded the result of the dial. It may
-- ring, so it is not dialled again.
create or replace function pgdial.sweep_leases(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
    v_n int := 0;
begin
    for v_call in
        select c.* from pgdial.calls c
        where c.state = 'dialing' and c.lease_until <= p_now and not pgdial.was_put_off(c.id, p_now)
        order by c.lease_until limit p_limit for update skip locked
    loop
        begin
            update pgdial.calls c
            set state = 'unresolved', lease_until = null,
                last_error = 'its worker did not say what came of the dial'
            where c.id = v_call.id and c.claim_no = v_call.claim_no and c.state::text = 'dialing';
            perform pgdial.note(v_call, 'unresolved', p_now,
                jsonb_build_object('why', 'its worker did not say what came of the dial'));
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

-- sweep_deadlines: in flight past its deadline. If the provider can be asked, it is asked first, once a minute
-- for at most max_duration. After that, or at once if it cannot, the outcome is unknown: the slot is freed, the
-- number is held for another max_duration.
create or replace function pgdial.sweep_deadlines(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
    v_n int := 0;
begin
    for v_call in
        select c.* from pgdial.calls c
        where c.state in ('dialing', 'unresolved', 'in_call') and c.deadline_at <= p_now
          and not pgdial.was_put_off(c.id, p_now)
        order by c.deadline_at limit p_limit for update skip locked
    loop
        begin
            if v_call.state <> 'dialing' and p_now < pgdial.last_deadline(v_call)
               and exists (select from pgdial.dial_terms(v_call.trunk, v_call.account, v_call.provider_call_id) t where t.is_asked) then
                perform pgdial.ask_first(v_call, p_now);
            else
                perform pgdial.end_attempt(v_call, 'unknown',
                    jsonb_build_object('why', 'no report of how it ended before its deadline'), null, p_now);
            end if;
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

-- ask_first: the provider is asked at once, and the deadline comes back in a minute.
create or replace function pgdial.ask_first(p_call pgdial.calls, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
begin
    update pgdial.calls c set deadline_at = p_now + '1 minute', look_up_at = p_now
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text in ('unresolved', 'in_call');
    if p_call.deadline_at <= pgdial.own_deadline(p_call) then
        perform pgdial.note(p_call, 'overdue', p_now,
            jsonb_build_object('why', 'past its deadline; the provider is asked'));
    end if;
end $$;

-- put_off: a row that cannot be updated is tried again in a minute. In flight, its lease and deadline move;
-- waiting, it stays due (moving its expires_at would let the claim dial it).
create or replace function pgdial.put_off(p_call pgdial.calls, p_why text, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
begin
    begin
        update pgdial.calls c
        set lease_until = case when c.lease_until is not null then p_now + '1 minute' end,
            deadline_at = greatest(c.deadline_at, p_now + '1 minute')
        where c.id = p_call.id and c.claim_no = p_call.claim_no
          and c.state::text in ('dialing', 'unresolved', 'in_call');
    exception when integrity_constraint_violation or raise_exception or data_exception then
        null;   -- it cannot be written at all: it stays due, and affects no other
    end;
    if not pgdial.was_put_off(p_call.id, p_now) then
        perform pgdial.note(p_call, 'put_off', p_now, jsonb_build_object('why', p_why));
    end if;
end $$;

-- was_put_off: did the row fail within the last minute? Such rows are skipped, so a batch of immovable rows
-- cannot starve the rest.
create or replace function pgdial.was_put_off(p_id uuid, p_now timestamptz) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from pgdial.call_events e
                   where e.call_id = p_id and e.kind = 'put_off' and e.at > p_now - '1 minute'::interval);
end $$;

-- sweep_expiries: waiting -> expired: past its own expires_at, or its campaign is over. The claim only passes over
-- such rows. Many may expire at one moment: they go together, or one by one if one cannot be updated.
create or replace function pgdial.sweep_expiries(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
as $$
declare
    v_ids constant uuid[] := array(
        select c.id from pgdial.calls c
        where c.state = 'waiting' and c.expires_at is not null and c.expires_at <= p_now
          and not pgdial.was_put_off(c.id, p_now)
        order by c.expires_at limit p_limit);
    v_over constant uuid[] := array(
        select c.id from pgdial.campaigns g
             cross join lateral (
                 select w.id from pgdial.calls w
                 where w.state = 'waiting' and w.campaign = g.name and not pgdial.was_put_off(w.id, p_now)
                 limit p_limit) c
        where g.ends_at <= p_now limit p_limit - cardinality(v_ids));
begin
    return pgdial.end_waiting(v_ids || v_over, 'expired', p_now, p_limit);
end $$;

-- sweep_suppressed: waiting -> suppressed, for numbers that joined the do-not-call list, and for consent that has
-- expired; a call with another number that may be rung goes on with that. Only pending entries are checked: enqueue
-- refuses calls to the others. An entry stays pending for a minute, for enqueues that read the list before it was
-- added, and then until no call to it waits (one may have been locked).
create or replace function pgdial.sweep_suppressed(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_ids constant uuid[] := array(
        select c.id from pgdial.do_not_call d join pgdial.calls c on c.phone = d.phone
        where d.pending and c.state = 'waiting' and pgdial.covers(d, c.campaign, p_now) and not pgdial.was_put_off(c.id, p_now)
        order by d.at limit p_limit) || array(
        select c.id from pgdial.calls c join pgdial.campaigns g on g.name = c.campaign
        where c.state = 'waiting' and c.consent_expires_at is not null and c.consent_expires_at <= p_now
          and g.require_consent and not pgdial.was_put_off(c.id, p_now)
        order by c.consent_expires_at limit p_limit);
    v_n int := pgdial.change_numbers(v_ids, p_now);
begin
    v_n := v_n + pgdial.end_waiting(v_ids, 'suppressed', p_now, p_limit);
    update pgdial.do_not_call d set pending = false
    where (d.phone, d.topic, d.campaign) in (
        select o.phone, o.topic, o.campaign from pgdial.do_not_call o
        where o.pending and o.at < p_now - '1 minute'::interval
          and not exists (select from pgdial.calls c
                          where c.phone = o.phone and c.state = 'waiting' and pgdial.covers(o, c.campaign, p_now))
        order by o.at limit p_limit * 5 for update skip locked);
    return v_n;
end $$;

-- end_waiting: end these waiting calls (expired, suppressed) together; if that fails, the first p_limit of them
-- one by one, and one that cannot be updated is put off.
create or replace function pgdial.end_waiting(p_ids uuid[], p_state pgdial.call_state, p_now timestamptz, p_limit int)
returns int
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
    v_n int := 0;
begin
    begin
        return pgdial.end_waiting_together(p_ids, p_state, p_now);
    exception when integrity_constraint_violation or raise_exception or data_exception then
        null;
    end;
    for v_call in
        select c.* from unnest(p_ids) with ordinality i (id, n) join pgdial.calls c on c.id = i.id
        where c.state::text = 'waiting'
        order by i.n limit p_limit for update of c skip locked
    loop
        begin
            perform pgdial.end_waiting_together(array[v_call.id], p_state, p_now);
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

-- end_waiting_together: those that are not locked, with their events; returns how many.
create or replace function pgdial.end_waiting_together(p_ids uuid[], p_state pgdial.call_state, p_now timestamptz)
returns int
language plpgsql volatile
as $$
declare
    v_n int;
begin
    with ours as materialized (
        select c.id from pgdial.calls c
        where c.id = any (p_ids) and c.state::text = 'waiting'
        order by c.id for update skip locked
    ), moved as (
        update pgdial.calls c
        set state = p_state, ended_at = p_now,
            last_error = case when p_state = 'suppressed' then pgdial.forbidden(c, pgdial.present_number(c, p_now), p_now)
                else coalesce((select pgdial.end_in_words(g.name, g.ends_at) from pgdial.campaigns g
                               where g.name = c.campaign and g.ends_at <= p_now), c.last_error) end
        where c.id in (select o.id from ours o) and c.state::text = 'waiting'
          and case when p_state = 'suppressed' then pgdial.forbidden(c, pgdial.present_number(c, p_now), p_now) is not null
                   else c.expires_at <= p_now or exists (
                       select from pgdial.campaigns g where g.name = c.campaign and g.ends_at <= p_now) end
        returning c.id, c.claim_no, c.attempt, c.campaign, c.expires_at, c.last_error
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, m.id, m.claim_no, m.attempt, p_state,
               case when p_state = 'suppressed' then jsonb_build_object('why', m.last_error)
                    when g.ends_at is not null then jsonb_build_object('why', m.last_error, 'ends_at', g.ends_at)
                    else jsonb_build_object('expires_at', m.expires_at) end
        from moved m left join pgdial.campaigns g on g.name = m.campaign and g.ends_at <= p_now
    )
    select count(*) into v_n from moved;
    return v_n;
end $$;

-- sweep_unplaced: give an area to calls whose combination of number, time zone and region is new. Until then they
-- are closed where hours are asked for.
create or replace function pgdial.sweep_unplaced(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
    v_n int := 0;
begin
    for v_call in
        select c.* from pgdial.calls c
        where c.state = 'waiting' and c.area = 0 and not pgdial.was_put_off(c.id, p_now)
        order by c.id limit p_limit for update skip locked
    loop
        begin
            update pgdial.calls c set area = pgdial.intern_area(c.phone, c.timezone, c.region)
            where c.id = v_call.id and c.state::text = 'waiting' and c.area = 0;
        exception when integrity_constraint_violation or raise_exception or data_exception then
            perform pgdial.put_off(v_call, sqlerrm, p_now);
        end;
        v_n := v_n + 1;
    end loop;
    if v_n > 0 then
        perform pgdial.wake('claim');
    end if;
    return v_n;
end $$;

-- sweep_unmatched: events whose call was not known when they came. The verb that stores a provider's id applies
-- what waits for it (apply_parked); an event that comes at the same moment is found here, and goes to
-- sweep_parked. Newest first: oldest first would let an account that other software uses too starve our events.
-- After ten minutes an event is given up.
-- Returns how many were given up. Index: webhook_events_unknown, calls_provider_id.
create or replace function pgdial.sweep_unmatched(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_n int;
begin
    with due as materialized (
        select w.id, p_now - w.received_at as age, pgdial.event_call(w.trunk, null, w.report) as call_id
        from pgdial.webhook_events w
        where w.verdict = 'parked' and w.call_id is null and w.try_at <= p_now
        order by w.try_at desc limit p_limit for update skip locked
    ), tried as (
        update pgdial.webhook_events w
        set call_id = d.call_id,
            verdict = case when d.call_id is null and d.age >= '10 minutes'::interval then 'unmatched' else 'parked' end,
            try_at = case when d.call_id is null then p_now + greatest('1 second', d.age * 4) else p_now end
        from due d where w.id = d.id
        returning w.verdict
    )
    select count(*) filter (where t.verdict = 'unmatched') into v_n from tried t;
    return v_n;
end $$;

-- sweep_parked: webhook events whose call is known, but that could not be applied when they came. Call by call,
-- so that each call gets its events in order; those that came due last first, so that a crowd of immovable ones
-- cannot starve the rest.
-- Index: webhook_events_parked, webhook_events_by_call.
create or replace function pgdial.sweep_parked(p_now timestamptz, p_limit int) returns int
language plpgsql volatile
as $$
declare
    v_event pgdial.webhook_events;
    v_call_id uuid;
    v_locked boolean;
    v_n int := 0;
begin
    foreach v_call_id in array array(
        select distinct d.call_id from (
            select w.call_id from pgdial.webhook_events w
            where w.verdict = 'parked' and w.call_id is not null and w.try_at <= p_now
            order by w.try_at desc limit p_limit) d
        order by 1)
    loop
        perform from pgdial.calls c where c.id = v_call_id for update skip locked;
        v_locked := found;
        for v_event in
            select w.* from pgdial.webhook_events w
            where w.call_id = v_call_id and w.verdict = 'parked'
            order by w.id limit p_limit for update skip locked
        loop
            if pgdial.apply_event(v_event, v_call_id, v_locked, p_now, null) = 'parked' then
                update pgdial.webhook_events w
                set try_at = p_now + greatest('1 second', (p_now - w.received_at) / 4) where w.id = v_event.id;
            else
                v_n := v_n + 1;
            end if;
        end loop;
    end loop;
    return v_n;
end $$;

-- sweep_finished: delete finished calls older than p_keep, and old webhook events. Never a call whose
-- idempotency key is younger than 24 h (a repeat must find it) or whose number is still held. One that cannot
-- be deleted (a foreign key of yours refers to it) stays; the others are then deleted one by one.
create or replace function pgdial.sweep_finished(p_now timestamptz, p_keep interval, p_limit int) returns int
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_old uuid[];
    v_id uuid;
    v_n int := 0;
begin
    -- Events that belong to no call here are kept for a day.
    delete from pgdial.webhook_events w
    where w.received_at < p_now - '1 day'::interval and w.id = any (array(
        select o.id from pgdial.webhook_events o where o.verdict = 'unmatched'
        order by o.id limit p_limit for update skip locked));
    delete from pgdial.webhook_events w
    where w.id = any (array(
        select o.id from pgdial.webhook_events o
        where p_keep is not null and o.received_at < p_now - greatest(p_keep, '7 days')
        order by o.received_at limit p_limit for update skip locked));

    v_old := array(
        select c.id from pgdial.calls c
        where c.ended_at <= p_now - p_keep
          and (c.idempotency_key is null or c.created_at < p_now - '24 hours'::interval)
          and (c.hold_until is null or c.hold_until <= p_now)
        order by c.ended_at limit p_limit for update skip locked);
    begin
        delete from pgdial.calls c where c.id = any (v_old);
        get diagnostics v_n = row_count;
    exception when integrity_constraint_violation or raise_exception then
        foreach v_id in array v_old loop
            begin
                delete from pgdial.calls c where c.id = v_id;
                v_n := v_n + 1;
            exception when integrity_constraint_violation or raise_exception then
                raise warning 'pgdial: finished call % cannot be removed: %', v_id, sqlerrm;
            end;
        end loop;
    end;
    return v_n;
end $$;
