-- put_back: a dial in flight that certainly rings nobody goes back to waiting, its attempt not counted. The
-- caller holds the row's lock and has checked its claim_no.
-- p_reason: capacity, number_limit, account, forbidden, fault, late, shutdown, give_back, not_placed.
-- Capacity and number_limit wait greatest(p_retry_after, 1 s * 2^deferrals) up to 5 min, at most 20 times, then fail
-- as capacity. Forbidden waits 5 s * 2^n, at most 5 times, then fails as account. Whether capacity or forbidden
-- concerns more than this call is weighed (sql/rules/evidence.sql); number_limit never does; account does by
-- definition, and pauses the trunk. Late, account and fault wait 5 s, so that a provider whose clock is wrong, or a
-- trunk whose row is locked, does not make every free permit dial in a loop. The others become due at once.
-- Returns deferred, failed, canceled (a cancel was requested: it never goes back), completed (an earlier dial
-- of it was answered: it does not go back either), or suppressed (forbidden, see may_call.sql; of several numbers,
-- one that is left takes its place).
create or replace function pgdial.put_back(
    p_call pgdial.calls, p_reason text, p_retry_after interval, p_detail jsonb, p_now timestamptz
) returns text
language plpgsql volatile
as $$
declare
    v_detail constant jsonb := coalesce(p_detail, '{}') || jsonb_build_object('reason', p_reason);
    v_no_room constant boolean := p_reason in ('capacity', 'number_limit');
    v_run_at timestamptz := least(p_call.run_at, p_now);
    v_times int;
    v_phone text;
    v_forbidden text;
begin
    perform pgdial.undo_dial(p_call.id, p_call.claim_no);
    if p_reason in ('capacity', 'forbidden') then
        perform pgdial.weigh(p_call, p_reason, v_detail ->> 'why', p_retry_after, p_now);
    elsif p_reason = 'account' then
        perform pgdial.pause_trunk_for(p_call.trunk, v_detail ->> 'why', array[
            jsonb_populate_record(null::pgdial.answers, jsonb_build_object('at', p_now, 'call_id', p_call.id))], p_now);
    end if;
    if p_call.cancel_requested_at is not null then
        return pgdial.end_attempt(p_call, 'canceled', v_detail, null, p_now);
    end if;
    if p_call.answered_at is not null then
        return pgdial.end_attempt(p_call, 'answered', v_detail, null, p_now);
    end if;
    if v_no_room and p_call.deferrals >= 20 then
        return pgdial.end_attempt(p_call, 'capacity', v_detail, null, p_now);
    end if;
    if p_reason = 'forbidden' then
        v_times := pgdial.times_forbidden(p_call.id);
        if v_times >= 5 then
            return pgdial.end_attempt(p_call, 'account', v_detail, null, p_now);
        end if;
        v_run_at := p_now + '5 seconds'::interval * (2 ^ v_times);
    end if;
    v_phone := pgdial.present_number(p_call, p_now);
    v_forbidden := pgdial.forbidden(p_call, v_phone, p_now);
    if v_forbidden is not null then
        return pgdial.suppress_attempt(p_call, v_detail || jsonb_build_object('forbidden', v_forbidden), p_now);
    end if;
    if p_reason in ('late', 'account', 'fault') then
        v_run_at := p_now + '5 seconds'::interval;
    end if;
    if v_no_room then
        v_run_at := p_now + least('5 minutes',
            greatest(coalesce(p_retry_after, '0'), '1 second'::interval * (2 ^ p_call.deferrals)));
    end if;

    update pgdial.calls c
    set state = 'waiting', run_at = greatest(v_run_at, c.hold_until), attempt = c.attempt - 1, phone = v_phone,
        area = case when v_phone = c.phone then c.area else pgdial.area_of(v_phone, c.timezone, c.region) end,
        deferrals = c.deferrals + v_no_room::int,
        last_error = v_detail ->> 'why',
        outcome = case when v_no_room then 'capacity' when p_reason in ('account', 'forbidden') then 'account'
                       else c.outcome::text end::pgdial.outcome,
        claim_seq = default, lease_until = null, deadline_at = null, trunk = null, claimed_by = null,
        provider_call_id = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('dialing', 'unresolved', 'in_call');
    perform pgdial.note(p_call, 'deferred', p_now, v_detail || jsonb_build_object('run_at', v_run_at));
    return 'deferred';
end $$;

-- times_forbidden: how often it was put back as forbidden since its last redrive.
-- Index: call_events_by_call.
create or replace function pgdial.times_forbidden(p_id uuid) returns int
language plpgsql stable
as $$
begin
    return (select count(*)::int from pgdial.call_events e
            where e.call_id = p_id and e.kind = 'deferred' and e.detail ->> 'reason' = 'forbidden'
              and e.seq > coalesce((select max(r.seq) from pgdial.call_events r
                                    where r.call_id = p_id and r.kind = 'redriven'), 0));
end $$;

-- asked_wait: the seconds that a provider asks us to wait, as JSON; up to a day, and null for an invalid value:
-- nothing that a provider sends makes a verb fail.
create or replace function pgdial.asked_wait(p_seconds jsonb) returns interval
language sql immutable
as $$
    select case when jsonb_typeof(p_seconds) = 'number' and p_seconds::numeric >= 0
                then least(p_seconds::numeric, 86400)::double precision * '1 second'::interval end
$$;
