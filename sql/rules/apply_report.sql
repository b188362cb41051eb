-- apply_report: one report about one dial, judged and applied. Webhooks, parked events and look-ups all come
-- through here, so that they cannot disagree.
-- The caller holds the row's lock. p_claim_no: the claim that the report is about.
-- Returns the verdict that webhook_events keeps: applied, noted, stale, late_answer, mismatch.
create or replace function pgdial.apply_report(
    p_id uuid, p_claim_no bigint, p_trunk text, p_report jsonb, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_call pgdial.calls;
    v_outcome text := p_report ->> 'outcome';
    v_provider_id text := p_report ->> 'provider_call_id';
    v_result constant jsonb := pgdial.report_result(p_report);
    v_detail constant jsonb := pgdial.report_detail(p_report, p_claim_no);
    v_said constant jsonb := pgdial.report_said(p_report);
    v_kind text;
    v_reached boolean;
    v_is_present boolean;
    v_known boolean;
    v_verdict text;
begin
    select c.* into v_call from pgdial.calls c where c.id = p_id;
    if not found then
        return 'stale';   -- deleted by retention
    end if;
    if p_claim_no > v_call.claim_no and p_claim_no <= pgdial.claim_floor()
       and pgdial.names_dial(p_report, p_id, p_claim_no) then
        perform pgdial.take_lost_claim(v_call, p_claim_no, p_trunk, p_report, p_now);
        select c.* into v_call from pgdial.calls c where c.id = p_id;
    end if;
    if pgdial.report_fits(v_call, p_claim_no, p_trunk, p_report) is not true then
        perform pgdial.note(v_call, 'mismatch', p_now, jsonb_build_object(
            'trunk', p_trunk, 'event_claim_no', p_claim_no, 'status', p_report ->> 'status'));
        return 'mismatch';
    end if;

    v_is_present := p_claim_no = v_call.claim_no and v_call.state::text in ('dialing', 'unresolved', 'in_call');
    v_known := coalesce(p_claim_no <= v_call.forced_claim_no, false);
    v_kind := pgdial.report_kind(p_report, v_call.answered_at is not null);
    v_reached := v_kind in ('answered', 'completed') or pgdial.proves_answer(p_report);
    v_verdict := pgdial.judge(
        v_call.state, v_call.claim_no, v_call.outcome is not distinct from 'unknown',
        v_known or v_call.answered_at is not null or not v_is_present and v_outcome is distinct from 'answered' and pgdial.was_machine(p_id, p_claim_no),
        not v_is_present and pgdial.is_over(p_id, p_claim_no), p_claim_no, v_kind);
    if v_known and v_reached and v_call.answered_before is null then
        update pgdial.calls c set answered_before = p_now where c.id = p_id and c.claim_no = v_call.claim_no;
    end if;

    if v_verdict in ('accept', 'answer', 'settle', 'put_back') and v_call.provider_call_id is null then
        update pgdial.calls c set provider_call_id = v_provider_id
        where c.id = p_id and c.claim_no = p_claim_no returning c.* into v_call;
        if pgdial.is_awaited(p_trunk, v_provider_id) then
            -- Events that came before this report are applied before it.
            perform pgdial.apply_parked(v_call, v_provider_id, p_now);
            return pgdial.apply_report(p_id, p_claim_no, p_trunk, p_report, p_now);
        end if;
    end if;
    case v_verdict
        when 'accept', 'answer' then
            perform pgdial.accept_call(v_call, v_verdict = 'answer', v_detail, p_now);
            perform pgdial.heard_who(v_call, p_report, p_now);
            return 'applied';
        when 'settle' then
            if v_call.state::text <> 'in_call' then     -- its first report is its end, which shows that it was accepted
                perform pgdial.accepted(array[v_call.id], array[v_call.campaign], array[v_call.trunk], p_now);
            end if;
            if v_reached then
                v_call.answered_at := coalesce(v_call.answered_at, p_now);
            end if;
            perform pgdial.end_attempt(v_call, v_outcome::pgdial.outcome, v_detail || v_said, v_result, p_now);
            return 'applied';
        when 'put_back' then
            -- One report about one call: not evidence about the account yet.
            perform pgdial.put_back(v_call, case v_outcome when 'account' then 'forbidden' else v_outcome end,
                null, v_detail, p_now);
            return 'applied';
        when 'complete_late' then
            perform pgdial.complete_late(v_call, p_claim_no, v_outcome::pgdial.outcome, v_detail, v_result, p_now);
            perform pgdial.dispose_late(v_call, p_claim_no, v_detail || v_said, v_result, p_now);
            return 'applied';
        when 'late_answer' then
            perform pgdial.late_answer(v_call, p_claim_no, v_outcome::pgdial.outcome, v_detail, p_now);
            perform pgdial.dispose_late(v_call, p_claim_no, v_detail || v_said, v_result, p_now);
            return 'late_answer';
        when 'hold' then
            perform pgdial.hold_number(v_call, p_claim_no, v_reached, v_detail, p_now);
            return 'applied';
        when 'end_hold' then
            v_verdict := pgdial.end_hold(v_call, p_claim_no, v_outcome::pgdial.outcome, v_detail, p_now);
            perform pgdial.dispose_late(v_call, p_claim_no, v_detail || v_said, v_result, p_now);
            return v_verdict;
        else
            return v_verdict;   -- noted, stale, mismatch
    end case;
end $$;

-- report_kind: the kind of a report, as judge knows it. p_answered: somebody has answered the call.
create or replace function pgdial.report_kind(p_report jsonb, p_answered boolean) returns text
language sql immutable
as $$
    select case when p_report ->> 'kind' = 'unparsable' then 'unknown'
                when p_report ->> 'kind' <> 'ended' then p_report ->> 'kind'
                -- An end after an answer, whatever the outcome is called.
                when p_report ->> 'outcome' in ('answered', 'voicemail') or pgdial.proves_answer(p_report) then 'completed'
                -- After an answer nothing is put back: the person has already spoken to us.
                when p_report ->> 'outcome' in ('capacity', 'account') and not p_answered then 'capacity'
                else 'ended' end
$$;

-- report_detail: the provider's words, for the event. ended: this is the provider's last report of the dial.
create or replace function pgdial.report_detail(p_report jsonb, p_claim_no bigint) returns jsonb
language sql stable
as $$
    select jsonb_build_object('status', p_report ->> 'status', 'event_claim_no', p_claim_no,
        'ended', case when p_report ->> 'kind' = 'ended' then true end,
        'why', case when p_report ->> 'outcome' not in ('answered', 'voicemail')
                    then 'the provider reports ' || coalesce(p_report ->> 'status', p_report ->> 'outcome') end)
$$;

-- report_said: what the report says of the conversation, for the event. Only the end of a call, or what comes after
-- it, says that.
create or replace function pgdial.report_said(p_report jsonb) returns jsonb
language sql stable
as $$
    select case when p_report ? 'disposition' and p_report ->> 'kind' in ('ended', 'unknown', 'unparsable')
                then jsonb_build_object('disposition', p_report ->> 'disposition', 'callback_at', p_report ->> 'callback_at')
                else '{}' end
$$;

-- proves_answer: does it prove that somebody, or a machine, answered, whatever its outcome is called?
create or replace function pgdial.proves_answer(p_report jsonb) returns boolean
language sql immutable
as $$
    select coalesce((p_report ->> 'answered')::boolean, false)
$$;

-- report_result: the report's other fields, as the row keeps them. Replaced by a marker if too large: jsonb's
-- own text is longer than what the adapter measured. The raw body is kept anyway.
create or replace function pgdial.report_result(p_report jsonb) returns jsonb
language sql stable
as $$
    select case when octet_length((p_report -> 'result')::text) > 131072
                then '{"truncated": true}' else p_report -> 'result' end
           -- When somebody answered, by the provider's clock; answered_at is when the report reached us.
           || case when p_report ->> 'answered_at' is null or p_report -> 'result' ? 'answeredAt' then '{}'
                   else jsonb_build_object('answeredAt', p_report ->> 'answered_at') end
$$;

-- report_fits: is the report about this dial, on this trunk, and about nothing else? The tag in the URL, or the
-- account's signature over the body, proves that the account was given this reference; the trunk of an earlier
-- claim is in its active event, that of the present one in the row. A claim that was lost has neither, and is
-- believed: its reference is still one we issued.
create or replace function pgdial.report_fits(
    p_call pgdial.calls, p_claim_no bigint, p_trunk text, p_report jsonb
) returns boolean
language plpgsql stable
as $$
begin
    return p_claim_no between 1 and p_call.claim_no
       and pgdial.names_dial(p_report, p_call.id, p_claim_no)
       and p_trunk = case
            when p_claim_no = p_call.claim_no and p_call.trunk is not null then p_call.trunk
            else coalesce((select e.detail ->> 'trunk' from pgdial.call_events e
                           where e.call_id = p_call.id and e.claim_no = p_claim_no and e.kind = 'active' limit 1),
                          case when p_claim_no <= pgdial.claim_floor() then p_trunk end) end
       and (p_claim_no <> p_call.claim_no or p_call.provider_call_id is null
            or coalesce(pgdial.same_name(p_report ->> 'provider_call_id', p_call.provider_call_id), true));
end $$;

-- names_dial: the report names this dial, or none.
create or replace function pgdial.names_dial(p_report jsonb, p_id uuid, p_claim_no bigint) returns boolean
language sql stable
as $$
    select coalesce(lower(p_report ->> 'reference'), p_id || '-' || p_claim_no) = p_id || '-' || p_claim_no
$$;

-- accept_call: the provider has it. Progress never moves a state backwards: an in_call row stays in_call, and
-- answered_at is written once.
create or replace function pgdial.accept_call(
    p_call pgdial.calls, p_answered boolean, p_detail jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
    update pgdial.calls c
    set state = 'in_call', lease_until = null,
        answered_at = case when p_answered then coalesce(c.answered_at, p_now) else c.answered_at end
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and (c.state::text <> 'in_call' or (p_answered and c.answered_at is null));
    if found then
        if p_call.state::text <> 'in_call' then
            perform pgdial.accepted(array[p_call.id], array[p_call.campaign], array[p_call.trunk], p_now);
            perform pgdial.note(p_call, 'in_call', p_now, p_detail || jsonb_build_object(
                'provider_call_id', p_call.provider_call_id, 'by', 'webhook'));
        end if;
        if p_answered and p_call.answered_at is null then
            perform pgdial.note(p_call, 'answered', p_now, p_detail);
        end if;
    end if;
end $$;
