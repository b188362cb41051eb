-- put_back: a dial in flight that certainly rings nobody goes back to waiting, its
-- attempt not counted. The caller holds the row's lock and has checked its claim_no.
-- p_reason: capacity, account, fault, late, shutdown, give_back, not_placed.
-- Capacity waits greatest(p_retry_after, 1 s * 2^deferrals) up to 5 min, at most 20
-- times, then fails as capacity. Account pauses the trunk. Late, account and fault wait 5 s, so
-- that a provider whose clock is wrong, or a trunk whose row somebody holds, does not
-- make every free permit dial in a circle. The others go at once.
-- Answers deferred, failed, canceled (a cancel was wished: it never goes back), completed (an
-- earlier dial of it was answered: neither does that), or suppressed (the number has joined the
-- do-not-call list).
create or replace function pgdial.put_back(
    p_call pgdial.calls, p_reason text, p_retry_after interval, p_detail jsonb, p_now timestamptz
) returns text
language plpgsql volatile
as $$
declare
    v_detail constant jsonb := coalesce(p_detail, '{}') || jsonb_build_object('reason', p_reason);
    v_run_at timestamptz := least(p_call.run_at, p_now);
begin
    if p_call.cancel_requested_at is not null then
        return pgdial.end_attempt(p_call, 'canceled', v_detail, null, p_now);
    end if;
    if p_call.answered_at is not null then
        return pgdial.end_attempt(p_call, 'answered', v_detail, null, p_now);
    end if;
    if p_reason = 'capacity' and p_call.deferrals >= 20 then
        return pgdial.end_attempt(p_call, 'capacity', v_detail, null, p_now);
    end if;
    if exists (select from pgdial.do_not_call d where d.phone = p_call.phone) then
        return pgdial.suppress_attempt(p_call, v_detail, p_now);
    end if;
    if p_reason in ('late', 'account', 'fault') then
        v_run_at := p_now + '5 seconds'::interval;
    end if;
    if p_reason = 'capacity' then
        v_run_at := p_now + least('5 minutes',
            greatest(coalesce(p_retry_after, '0'), '1 second'::interval * (2 ^ p_call.deferrals)));
        perform pgdial.breaker_hold_off(p_call.trunk, coalesce(p_retry_after, '1 second'), p_now);
    end if;
    if p_reason = 'account' then
        perform pgdial.pause_trunk_for(p_call.trunk, v_detail ->> 'why', p_now);
    end if;

    update pgdial.calls c
    set state = 'waiting', run_at = greatest(v_run_at, c.hold_until), attempt = c.attempt - 1,
        deferrals = c.deferrals + (p_reason = 'capacity')::int,
        last_error = v_detail ->> 'why',
        outcome = case p_reason when 'capacity' then 'capacity' when 'account' then 'account'
                                else c.outcome::text end::pgdial.outcome,
        claim_seq = default, lease_until = null, deadline_at = null, trunk = null, claimed_by = null,
        provider_call_id = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note(p_call, 'deferred', p_now, v_detail || jsonb_build_object('run_at', v_run_at));
    return 'deferred';
end $$;

-- pause_trunk_for: a trunk whose account is refused pauses itself, with the reason.
-- It waits for nobody: when a person holds the row, the next refusal pauses it.
create or replace function pgdial.pause_trunk_for(p_trunk text, p_why text, p_now timestamptz) returns void
language sql volatile
as $$
    update pgdial.trunks t
    set paused = true, paused_at = p_now, paused_by = 'pgdial',
        paused_why = 'the provider refuses the account: ' || coalesce(p_why, 'no words')
    where t.name = (select s.name from pgdial.trunks s where s.name = p_trunk and not s.paused
                    for no key update skip locked)
$$;
