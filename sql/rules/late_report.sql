-- Reports about a dial that is over for us: put back, refused, given up, or followed by a later one. What such
-- a report shows still counts. The caller (apply_report) holds the row.
-- Which dials hold the number, and until when, is in their events: a hold in hold_until, the provider's report
-- of an end in ended. The row has the latest of the holds.

-- told: the limits that the provider was told with this claim.
create or replace function pgdial.told(
    p_call pgdial.calls, p_claim_no bigint, out ring_timeout interval, out max_duration interval
)
language plpgsql stable
set plan_cache_mode = force_generic_plan
as $$
declare
    v_active constant jsonb := case when p_claim_no < p_call.claim_no then (
        select e.detail from pgdial.call_events e
        where e.call_id = p_call.id and e.claim_no = p_claim_no and e.kind = 'active' limit 1) end;
begin
    ring_timeout := coalesce((v_active ->> 'ring_timeout_sec')::int, p_call.ring_timeout_sec) * '1 second'::interval;
    max_duration := coalesce((v_active ->> 'max_duration_sec')::int, p_call.max_duration_sec) * '1 second'::interval;
end $$;

-- up_until: until when a dial that shows itself now can be up, by the limits that the provider was told.
create or replace function pgdial.up_until(
    p_call pgdial.calls, p_claim_no bigint, p_talks boolean, p_now timestamptz
) returns timestamptz
language plpgsql stable
as $$
begin
    return (
        select p_now + case when p_talks then '0' else t.ring_timeout end + t.max_duration + '2 minutes'::interval
        from pgdial.told(p_call, p_claim_no) t);
end $$;

-- dials_known: the latest state of each dial of this call that holds its number, or whose end was reported: is
-- it over, and if not, until when does it hold the number?
create or replace function pgdial.dials_known(p_call_id uuid)
returns table (claim_no bigint, is_over boolean, hold_until timestamptz)
language sql stable
as $$
    select distinct on (d.claim_no) d.claim_no, d.is_over, d.hold_until
    from (select coalesce((e.detail ->> 'event_claim_no')::bigint, e.claim_no) as claim_no, e.detail ? 'ended' as is_over,
                 (e.detail ->> 'hold_until')::timestamptz as hold_until, e.seq
          from pgdial.call_events e
          where e.call_id = p_call_id and (e.detail ? 'ended' or e.detail ? 'hold_until')) d
    order by d.claim_no, d.seq desc
$$;

-- is_over: has the provider reported the end of this dial?
create or replace function pgdial.is_over(p_call_id uuid, p_claim_no bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from pgdial.dials_known(p_call_id) d where d.claim_no = p_claim_no and d.is_over);
end $$;

-- held_by_others: until when other dials of this call hold its number; null: they do not. Never longer than the
-- row says: a person may have released it.
create or replace function pgdial.held_by_others(p_call pgdial.calls, p_claim_no bigint) returns timestamptz
language plpgsql stable
as $$
begin
    return case when p_call.hold_until is not null then (
        select max(least(d.hold_until, p_call.hold_until)) from pgdial.dials_known(p_call.id) d
        where d.claim_no <> p_claim_no and not d.is_over) end;
end $$;

-- hold_number: this dial is up after all: its number is not rung until the dial can no longer be up.
create or replace function pgdial.hold_number(
    p_call pgdial.calls, p_claim_no bigint, p_talks boolean, p_detail jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_until constant timestamptz := pgdial.up_until(p_call, p_claim_no, p_talks, p_now);
begin
    update pgdial.calls c
    set hold_until = greatest(c.hold_until, v_until),
        run_at = case when c.state::text = 'waiting' then greatest(c.run_at, v_until) else c.run_at end
    where c.id = p_call.id and c.claim_no = p_call.claim_no;
    perform pgdial.dial_rang(p_call, p_claim_no, null, p_talks, p_now);
    perform pgdial.note(p_call, 'held', p_now, p_detail || jsonb_build_object('hold_until', v_until));
end $$;

-- end_hold: the provider reports the end of this dial: free what it held. A waiting call becomes due as if its
-- attempt had ended now: the phone has just rung.
-- Returns applied, or stale if it held nothing.
create or replace function pgdial.end_hold(
    p_call pgdial.calls, p_claim_no bigint, p_outcome pgdial.outcome, p_detail jsonb, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_detail constant jsonb := p_detail || jsonb_build_object('by', 'webhook', 'outcome', p_outcome);
    v_until constant timestamptz := pgdial.held_by_others(p_call, p_claim_no);
begin
    if p_outcome::text in ('capacity', 'account') then
        perform pgdial.undo_dial(p_call.id, p_claim_no);
    else
        perform pgdial.dial_rang(p_call, p_claim_no, p_outcome, false, p_now);
    end if;
    if coalesce(p_call.hold_until <= p_now, true) or v_until = p_call.hold_until then
        perform pgdial.note(p_call, 'late_end', p_now, v_detail);
        return 'stale';
    end if;
    update pgdial.calls c
    set hold_until = v_until,
        run_at = case when c.state::text <> 'waiting' then c.run_at else least(c.run_at, greatest(v_until, p_now + (
            select pgdial.backoff(coalesce(pgdial.retry_base(g, p_outcome), g.no_answer_base), g.backoff_cap, greatest(c.attempt, 1))
            from pgdial.campaigns g where g.name = c.campaign))) end
    where c.id = p_call.id and c.claim_no = p_call.claim_no;
    perform pgdial.note(p_call, 'released', p_now, v_detail);
    return 'applied';
end $$;

-- complete_late: a dial that was given up was answered after all. The call is over, so that no retry rings the
-- person a second time. While they still talk (no outcome yet) the number stays taken.
create or replace function pgdial.complete_late(
    p_call pgdial.calls, p_claim_no bigint, p_outcome pgdial.outcome, p_detail jsonb, p_result jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_outcome constant pgdial.outcome := pgdial.after_an_answer(coalesce(p_outcome, 'answered'));
    v_state constant text := case when v_outcome in ('answered', 'voicemail') then 'completed' else 'failed' end;
    v_talks_until constant timestamptz :=
        case when p_outcome is null then pgdial.up_until(p_call, p_claim_no, true, p_now) end;
begin
    perform pgdial.dial_rang(p_call, p_claim_no, p_outcome, true, p_now);
    update pgdial.calls c
    set state = v_state::pgdial.call_state, outcome = v_outcome, ended_at = p_now, answered_at = p_now,
        result = coalesce(p_result, c.result), last_error = case when v_state = 'failed' then p_detail ->> 'why' end,
        hold_until = case when p_outcome is null then greatest(c.hold_until, v_talks_until)
                          else pgdial.held_by_others(p_call, p_claim_no) end
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text in ('waiting', 'failed');
    perform pgdial.note(p_call, v_state, p_now, p_detail || jsonb_build_object(
        'late', true, 'outcome', v_outcome, 'result', p_result, 'hold_until', v_talks_until));
end $$;

-- late_answer: an earlier dial was answered while a later one is in flight, or after the call was over. The
-- state stays, but nothing rings them again: neither a retry nor a redrive without force.
create or replace function pgdial.late_answer(
    p_call pgdial.calls, p_claim_no bigint, p_outcome pgdial.outcome, p_detail jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_talks_until constant timestamptz :=
        case when p_outcome is null then pgdial.up_until(p_call, p_claim_no, true, p_now) end;
begin
    perform pgdial.dial_rang(p_call, p_claim_no, p_outcome, true, p_now);
    update pgdial.calls c
    set answered_at = p_now, answered_by = case when p_outcome = 'voicemail' then c.answered_by else 'human' end,
        hold_until = case when p_outcome is null then greatest(c.hold_until, v_talks_until)
                          else pgdial.held_by_others(p_call, p_claim_no) end
    where c.id = p_call.id and c.claim_no = p_call.claim_no;
    perform pgdial.note(p_call, 'late_answer', p_now, p_detail || jsonb_build_object('hold_until', v_talks_until));
end $$;
