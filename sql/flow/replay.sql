-- replay, replay_many: judge kept webhook events again, after the obstacle was removed: parked ones at once, unparsable ones
-- as a newer adapter parses them, noted ones whose status word is known by now.
-- p_items: [{id, report?, by, why?}]. id: of webhook_events. report: the body parsed again; without it, the
-- stored report.
-- Verdicts: those of a webhook; already_judged (it was judged, and has had its effect if any: a call that was
-- redriven since must not end by it), locked_out, not_found. detail: {freed}: a slot or number was freed.
--   select pgdial.replay(42, 'the adapter knows this status now');
--   select * from pgdial.replay_many('[{"id": 42, "by": "ann"}]');
-- Races: the calls are locked first, as in every verb, then the event: either the sweep, a redelivery or this
-- applies it. What it may do to the call is still decided by judge.
-- Index: primary keys.
create or replace function pgdial.replay_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    v_item record;
    v_event pgdial.webhook_events;
    v_call_id uuid;
    v_locked uuid[];
    v_taken boolean;
    v_now timestamptz;
begin
    v_locked := pgdial.lock_calls(array(
        select pgdial.kept_event_call(w, i -> 'report')
        from jsonb_array_elements(p_items) i join pgdial.webhook_events w on w.id = (i ->> 'id')::bigint), p_wait);
    v_now := pgdial.now();

    for v_item in select e.n::int as n, e.i from jsonb_array_elements(p_items) with ordinality as e (i, n) order by e.n
    loop
        ordinal := v_item.n;
        detail := '{}';
        select w.* into v_event from pgdial.webhook_events w
        where w.id = (v_item.i ->> 'id')::bigint for update skip locked;
        if not found then
            verdict := case when exists (select from pgdial.webhook_events w where w.id = (v_item.i ->> 'id')::bigint)
                            then 'locked_out' else 'not_found' end;
        elsif v_event.verdict in ('applied', 'stale', 'late_answer') then
            verdict := 'already_judged';
        else
            v_call_id := pgdial.kept_event_call(v_event, v_item.i -> 'report');
            v_taken := pgdial.is_taking(v_call_id, v_now);
            verdict := pgdial.judge_again(v_event, v_item.i, v_call_id, v_call_id = any (v_locked), v_now);
            detail := jsonb_build_object('freed', v_taken and not pgdial.is_taking(v_call_id, v_now));
        end if;
        return next;
    end loop;
end $$;

-- kept_event_call: the call that a kept event is about, if that is known by now.
create or replace function pgdial.kept_event_call(p_event pgdial.webhook_events, p_report jsonb) returns uuid
language sql stable
as $$
    select coalesce(p_event.call_id, pgdial.event_call(
        p_event.trunk, nullif(p_event.reference, ''), coalesce(nullif(p_report, 'null'), p_event.report)))
$$;

-- judge_again: one event, whose row and whose call's row we hold.
create or replace function pgdial.judge_again(
    p_event pgdial.webhook_events, p_item jsonb, p_call_id uuid, p_locked boolean, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_report constant jsonb := coalesce(nullif(p_item -> 'report', 'null'), p_event.report);
    v_event pgdial.webhook_events;
    v_call pgdial.calls;
begin
    update pgdial.webhook_events w
    set report = v_report, try_at = p_now + '1 second', call_id = coalesce(w.call_id, p_call_id),
        verdict = case when v_report ->> 'kind' = 'unparsable' then 'unparsable'
                       when coalesce(p_call_id::text, v_report ->> 'provider_call_id') is null then 'unmatched'
                       else 'parked' end
    where w.id = p_event.id returning w.* into v_event;
    if v_event.verdict <> 'parked' then
        return v_event.verdict;
    end if;
    select c.* into v_call from pgdial.calls c where c.id = p_call_id;
    if found and p_locked then
        perform pgdial.note(v_call, 'replayed', p_now, jsonb_build_object(
            'event', p_event.id, 'was', p_event.verdict, 'by', p_item ->> 'by', 'why', p_item ->> 'why'));
    end if;
    return pgdial.apply_event(v_event, p_call_id, p_locked, p_now, null);
end $$;

create or replace function pgdial.replay(p_event bigint, p_why text default null, p_by text default session_user)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_verdict text;
begin
    select r.verdict into v_verdict
    from pgdial.replay_many(jsonb_build_array(jsonb_build_object('id', p_event, 'by', p_by, 'why', p_why)), true) r;
    perform pgdial.wake('claim');
    perform pgdial.wake('sweep');
    return v_verdict;
end $$;
