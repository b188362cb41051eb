-- How an attempt in flight ends. decide_ending decides, end_attempts writes, for one row or for a whole batch:
-- the one place that settles rows.

-- decide_ending: what happens to a call whose attempt ended with this outcome. It writes nothing.
-- p_outcome: how it ended. p_detail: the provider's words, for the event, with report_said.
-- p_result: the final report's other fields, kept verbatim on the row.
-- verdict: completed, retried, failed, canceled, or, where it would be retried otherwise, suppressed (its numbers have
-- joined the do-not-call list meanwhile, or its consent has expired) or expired (its campaign is over).
-- Of several numbers, the next one in turn (sql/rules/numbers.sql) is rung at once, and a round through them counts
-- as one attempt for the backoff. A wrong number is like an invalid one, although somebody answered it: another one may
-- be the person's. Nobody is rung twice by that: the number leaves the list, and a redrive needs force (P1).
create or replace function pgdial.decide_ending(
    p_call pgdial.calls, p_campaign pgdial.campaigns, p_outcome pgdial.outcome,
    p_detail jsonb, p_result jsonb, p_now timestamptz
) returns pgdial.ending
language plpgsql volatile
as $$
declare
    v_answered constant boolean := p_call.answered_at is not null;
    v_wished constant boolean := p_call.cancel_requested_at is not null;
    v_wrong boolean;
    v_base interval;
    v_said record;
    v_next record;
    v_forbidden text;
    v_end pgdial.ending;
    v_rule text;
begin
    v_end.id := p_call.id;
    v_end.claim_no := p_call.claim_no;
    v_end.attempt := p_call.attempt;
    v_end.phone := p_call.phone;
    v_end.provider_call_id := p_call.provider_call_id;
    v_end.detail := p_detail;
    v_end.result := p_result;
    v_end.outcome := case when v_answered then pgdial.after_an_answer(p_outcome) else p_outcome end;
    if v_end.outcome = 'answered' and p_call.answered_by in ('machine', 'fax') then
        v_end.outcome := 'voicemail';   -- reported before the end, which does not say it again
    end if;
    v_end.answered_at := case when v_end.outcome in ('answered', 'voicemail') then coalesce(p_call.answered_at, p_now)
                              else p_call.answered_at end;
    -- Nobody knows whether it still rings: the slot is freed, the number is not.
    if v_end.outcome = 'unknown' then
        v_end.hold_until := p_call.deadline_at + p_call.max_duration_sec * '1 second'::interval;
    end if;

    if p_detail ? 'disposition' or p_campaign.disposition_rules is not null then
        select d.* into v_said from pgdial.disposition_of(p_campaign, p_detail, p_result) d;
        v_end.disposition := v_said.disposition;
        v_end.callback_at := v_said.callback_at;
        v_end.detail := coalesce(v_end.detail, '{}') || jsonb_build_object('rule_error', v_said.problem);
    end if;

    v_wrong := coalesce(v_end.disposition = 'wrong_number' and v_end.outcome <> 'unknown' and pgdial.has_another(p_call), false);
    v_base := case
        when p_call.attempt >= p_call.max_attempts or pgdial.settles_it(v_end.disposition) and not v_wrong then null
        when v_wrong then p_campaign.fault_base
        -- Unless a person was there too, in this dial or an earlier one of the call.
        when v_end.outcome = 'voicemail' and p_call.answered_by is distinct from 'human' then pgdial.retry_base(p_campaign, 'voicemail')
        when v_answered then null
        when v_end.outcome = 'unknown' and p_campaign.redial_unknown then p_campaign.fault_base
        when v_end.outcome = 'invalid_number' and pgdial.has_another(p_call) then p_campaign.fault_base
        else pgdial.retry_base(p_campaign, v_end.outcome) end;
    v_end.verdict := case
        when (v_end.outcome = 'voicemail' or v_wrong) and v_base is not null and not v_wished then 'retried'
        when v_end.outcome in ('answered', 'voicemail') then 'completed'
        when v_wished and v_answered then 'completed'
        when v_wished or v_end.outcome = 'canceled' then 'canceled'
        when v_base is not null then 'retried'
        else 'failed' end;

    if v_end.verdict = 'retried' then
        v_end.answered_at := case when v_wrong then v_end.answered_at end;
        select n.phone, n.at_once into v_next
        from pgdial.number_after(p_call, case when v_wrong then 'invalid_number' else v_end.outcome end, p_now) n;
        v_forbidden := pgdial.forbidden(p_call, v_next.phone, p_now);
        if v_forbidden is not null then
            v_end.verdict := 'suppressed';
            v_end.detail := coalesce(v_end.detail, '{}') || jsonb_build_object('forbidden', v_forbidden);
        elsif p_campaign.ends_at <= p_now then
            v_end.verdict := 'expired';
            v_end.detail := coalesce(v_end.detail, '{}') || jsonb_build_object(
                'why', concat_ws('; ', p_detail ->> 'why', pgdial.end_in_words(p_campaign.name, p_campaign.ends_at)),
                'ends_at', p_campaign.ends_at);
        else
            if v_next.phone <> p_call.phone then
                v_end.next_phone := v_next.phone;
                v_end.next_area := pgdial.area_of(v_next.phone, p_call.timezone, p_call.region);
                p_call.area := v_end.next_area;     -- whose hours retry_at is about
                v_end.detail := coalesce(v_end.detail, '{}')
                    || jsonb_build_object('next_number', array_position(p_call.numbers, v_next.phone));
            end if;
            v_end.run_at := greatest(
                p_now + case when v_next.at_once then '0' else pgdial.backoff(v_base, p_campaign.backoff_cap, pgdial.round_of(p_call)) end,
                v_end.hold_until, p_call.hold_until, p_campaign.starts_at);
            select r.at, r.rule into v_end.run_at, v_rule
            from pgdial.retry_at(p_call, p_campaign, case when not v_next.at_once then v_end.outcome end, v_end.run_at, p_now) r;
            if v_rule is not null then
                v_end.detail := coalesce(v_end.detail, '{}') || jsonb_build_object('retry_at', v_rule);
            end if;
        end if;
    end if;
    return v_end;
end $$;

-- after_an_answer: the outcome of an attempt in which somebody had answered, given the provider's outcome.
create or replace function pgdial.after_an_answer(p_outcome pgdial.outcome) returns pgdial.outcome
language sql immutable
as $$
    select case when p_outcome in ('unreachable', 'provider_fault') then 'provider_fault'
                when p_outcome = 'canceled' then 'answered' else p_outcome end::pgdial.outcome
$$;

-- end_attempts: writes endings: the rows, their events, and what follows from their dispositions. The caller holds
-- the rows' locks and has checked that they are in flight, so every row is found.
-- Index: primary key. The planner is kept from joining by a table scan, which it would choose while its
-- statistics are those of a small table.
create or replace function pgdial.end_attempts(p_endings pgdial.ending[], p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_end record;
begin
    update pgdial.calls c
    set state = case when e.verdict = 'retried' then 'waiting' else e.verdict end::pgdial.call_state,
        outcome = e.outcome, answered_at = case when e.verdict <> 'retried' then coalesce(c.answered_at, e.answered_at) end,
        disposition = e.disposition,
        hold_until = greatest(c.hold_until, e.hold_until),     -- an earlier dial may hold the number too
        last_error = case when e.verdict <> 'completed' then e.detail ->> 'why' end,
        result = coalesce(e.result, c.result), claim_seq = default, lease_until = null, deadline_at = null,
        run_at = coalesce(e.run_at, c.run_at), phone = coalesce(e.next_phone, c.phone), area = coalesce(e.next_area, c.area),
        invalid_numbers = case when (e.outcome = 'invalid_number' or w.is_wrong) and c.numbers is not null
                               then c.invalid_numbers || c.phone else c.invalid_numbers end,
        answered_before = case when w.is_wrong then coalesce(c.answered_before, e.answered_at) else c.answered_before end,
        -- Later reports of this conversation do not end the call.
        forced_claim_no = case when w.is_wrong then e.claim_no else c.forced_claim_no end,
        ended_at = case when e.verdict <> 'retried' then p_now end,
        trunk = case when e.verdict <> 'retried' then c.trunk end,
        claimed_by = case when e.verdict <> 'retried' then c.claimed_by end,
        provider_call_id = case when e.verdict <> 'retried' then c.provider_call_id end
    from unnest(p_endings) e cross join lateral (select e.verdict = 'retried' and e.disposition = 'wrong_number' as is_wrong) w
    where c.id = e.id and c.claim_no = e.claim_no and c.state::text in ('dialing', 'unresolved', 'in_call');

    insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
    select p_now, e.id, e.claim_no, e.attempt, e.verdict, jsonb_strip_nulls(coalesce(e.detail, '{}') || jsonb_build_object(
        'outcome', e.outcome, 'provider_call_id', e.provider_call_id, 'run_at', e.run_at,
        'delay_ms', (extract(epoch from e.run_at - p_now) * 1000)::bigint,
        'hold_until', e.hold_until, 'result', e.result, 'disposition', e.disposition, 'callback_at', e.callback_at))
    from unnest(p_endings) e;
    perform pgdial.end_dials(p_endings);
    perform pgdial.note_endings(p_endings, p_now);

    -- By number, so that two batches that list the same numbers wait for each other and never deadlock.
    if exists (select from unnest(p_endings) e where pgdial.settles_it(e.disposition)) then
        for v_end in
            select c as call, e.disposition, e.callback_at from unnest(p_endings) e join pgdial.calls c on c.id = e.id
            where pgdial.settles_it(e.disposition) order by c.phone, c.id
        loop
            perform pgdial.act_on(v_end.call, v_end.disposition, v_end.callback_at, p_now);
        end loop;
    end if;
end $$;

-- end_attempt: the same for one row. Returns the verdict.
create or replace function pgdial.end_attempt(
    p_call pgdial.calls, p_outcome pgdial.outcome, p_detail jsonb, p_result jsonb, p_now timestamptz
) returns text
language plpgsql volatile
as $$
declare
    v_campaign pgdial.campaigns;
    v_end pgdial.ending;
begin
    select g.* into v_campaign from pgdial.campaigns g where g.name = p_call.campaign;
    v_end := pgdial.decide_ending(p_call, v_campaign, p_outcome, p_detail, p_result, p_now);
    perform pgdial.end_attempts(array[v_end], p_now);
    return v_end.verdict;
end $$;

-- suppress_attempt: a dial that rings nobody, to a number that may not be rung any more.
create or replace function pgdial.suppress_attempt(p_call pgdial.calls, p_detail jsonb, p_now timestamptz) returns text
language plpgsql volatile
as $$
begin
    update pgdial.calls c
    set state = 'suppressed', ended_at = p_now, attempt = c.attempt - 1, last_error = p_detail ->> 'why',
        claim_seq = default, lease_until = null, deadline_at = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note(p_call, 'suppressed', p_now, p_detail);
    return 'suppressed';
end $$;
