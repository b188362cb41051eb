-- end_attempt: how an attempt in flight ends; the one place that settles a row.
-- The caller holds the row's lock and has checked that it is in flight.
-- p_outcome: how it ended.  p_detail: the provider's words, for the event.
-- p_result: the final report's other fields, kept verbatim on the row.
-- Answers completed, retried, failed, canceled, or suppressed (it would be retried, but its
-- number has joined the do-not-call list meanwhile). Zero rows cannot be: the lock is held.
create or replace function pgdial.end_attempt(
    p_call pgdial.calls, p_outcome pgdial.outcome, p_detail jsonb, p_result jsonb, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_campaign pgdial.campaigns;
    v_answered constant boolean := p_call.answered_at is not null;
    v_wished constant boolean := p_call.cancel_requested_at is not null;
    v_outcome pgdial.outcome := p_outcome;
    v_verdict text;
    v_base interval;
    v_hold timestamptz;
    v_run_at timestamptz;
begin
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_call.campaign;
    if v_answered then
        v_outcome := case
            when p_outcome in ('unreachable', 'provider_fault') then 'provider_fault'
            when p_outcome = 'canceled' then 'answered'
            else p_outcome end;
    end if;
    -- Nobody knows whether it still rings: the slot is given back, the number is not.
    if v_outcome = 'unknown' then
        v_hold := p_call.deadline_at + coalesce(v_campaign.max_duration, '30 minutes');
    end if;

    v_base := case
        when v_answered or v_wished or p_call.attempt >= p_call.max_attempts then null
        when v_outcome = 'unknown' and v_campaign.redial_unknown then v_campaign.fault_base
        else pgdial.retry_base(v_campaign, v_outcome) end;
    v_verdict := case
        when v_outcome in ('answered', 'voicemail') then 'completed'
        when v_wished and v_answered then 'completed'
        when v_wished or v_outcome = 'canceled' then 'canceled'
        when v_base is not null then 'retried'
        else 'failed' end;

    if v_verdict = 'retried' and exists (select from pgdial.do_not_call d where d.phone = p_call.phone) then
        v_verdict := 'suppressed';
    end if;

    if v_verdict = 'retried' then
        v_run_at := greatest(
            p_now + pgdial.backoff(v_base, v_campaign.backoff_cap, p_call.attempt), v_hold);
        update pgdial.calls c
        set state = 'waiting', run_at = v_run_at, outcome = v_outcome, hold_until = v_hold,
            last_error = p_detail ->> 'why', result = coalesce(p_result, c.result),
            lease_until = null, deadline_at = null, trunk = null, claimed_by = null,
            provider_call_id = null, answered_at = null
        where c.id = p_call.id and c.claim_no = p_call.claim_no
          and c.state::text in ('dialing', 'unresolved', 'in_call');
    else
        update pgdial.calls c
        set state = v_verdict::pgdial.call_state, outcome = v_outcome, hold_until = v_hold,
            last_error = case when v_verdict <> 'completed' then p_detail ->> 'why' end,
            result = coalesce(p_result, c.result), ended_at = p_now,
            answered_at = case when v_outcome = 'answered' then coalesce(c.answered_at, p_now) else c.answered_at end,
            lease_until = null, deadline_at = null
        where c.id = p_call.id and c.claim_no = p_call.claim_no
          and c.state::text in ('dialing', 'unresolved', 'in_call');
    end if;

    perform pgdial.note(p_call, v_verdict, p_now, coalesce(p_detail, '{}') || jsonb_build_object(
        'outcome', v_outcome, 'provider_call_id', p_call.provider_call_id, 'run_at', v_run_at,
        'delay_ms', (extract(epoch from v_run_at - p_now) * 1000)::bigint,
        'hold_until', v_hold, 'result', p_result));
    return v_verdict;
end $$;

-- suppress_attempt: a dial that rings nobody, to a number that nobody may ring any more.
create or replace function pgdial.suppress_attempt(p_call pgdial.calls, p_detail jsonb, p_now timestamptz) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
begin
    update pgdial.calls c
    set state = 'suppressed', ended_at = p_now, attempt = c.attempt - 1, last_error = p_detail ->> 'why',
        lease_until = null, deadline_at = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note(p_call, 'suppressed', p_now, p_detail);
    return 'suppressed';
end $$;
