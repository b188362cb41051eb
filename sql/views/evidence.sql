-- evidence: for an auditor, why each dial of a call was allowed and what came of it, as JSON. Null: there is no such
-- call. Everything is read from the history; nothing is kept for it but `allowed` in the event of the claim.
--   select jsonb_pretty(pgdial.evidence('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90'));
-- Cost: the histories of all calls to the call's numbers.
create or replace function pgdial.evidence(p_id uuid) returns jsonb
language plpgsql stable
as $$
begin
    return (
        select jsonb_build_object(
            'id', c.id, 'to', c.phone, 'numbers', c.numbers, 'campaign', c.campaign, 'owner', c.owner, 'createdAt', c.created_at, 'callbackOf', c.callback_of,
            'attempts', coalesce((
                select jsonb_agg(pgdial.evidence_of(c, a.claim_no) order by a.claim_no) from pgdial.attempts a where a.call_id = c.id), '[]'),
            'doNotCall', coalesce((
                select jsonb_agg(jsonb_build_object(
                    'to', d.phone, 'topic', nullif(d.topic, ''), 'campaign', nullif(d.campaign, ''), 'until', d.until,
                    'reason', d.reason, 'by', d.by, 'at', d.at) order by d.at, d.phone)
                from pgdial.do_not_call d where d.phone = any (coalesce(c.numbers, array[c.phone]))), '[]'))
        from pgdial.calls c where c.id = p_id);
end $$;

-- evidence_of: one dial. Earlier dials: those to the numbers of the call that may have rung.
create or replace function pgdial.evidence_of(p_call pgdial.calls, p_claim_no bigint) returns jsonb
language plpgsql stable
as $$
declare
    v_attempt constant pgdial.attempts := (
        select a from pgdial.attempts a where a.call_id = p_call.id and a.claim_no = p_claim_no);
    v_at constant timestamptz := v_attempt.claimed_at;
    v_allowed constant jsonb := coalesce(v_attempt.allowed, '{}');
    v_area constant pgdial.areas := (select a from pgdial.areas a where a.id = (v_allowed ->> 'area')::int);
    v_zones constant text[] := coalesce(pgdial.callee_zones(v_allowed ->> 'basis', v_area), '{}');
    v_regions constant text[] := coalesce(pgdial.callee_regions(v_allowed ->> 'basis', v_area), '{}');
    v_numbers constant text[] := coalesce(p_call.numbers, array[p_call.phone]);
    v_dials constant timestamptz[] := array(
        select a.claimed_at from pgdial.calls c join pgdial.attempts a on a.call_id = c.id
        where (c.phone = any (v_numbers) or c.numbers && v_numbers) and c.phone <> 'forgotten'
          and coalesce(c.numbers[a.number], c.phone) = any (v_numbers)
          and a.claimed_at < v_at and a.claimed_at > v_at - '7 days'::interval and a.ended_as is distinct from 'deferred');
begin
    return jsonb_build_object(
        'claimNo', v_attempt.claim_no, 'attempt', v_attempt.attempt, 'to', coalesce(p_call.numbers[v_attempt.number], p_call.phone),
        'trunk', v_attempt.trunk, 'from', coalesce(v_attempt.caller_id, p_call.from_number),
        'providerCallId', v_attempt.provider_call_id, 'claimedAt', v_at,
        'localTimes', (select coalesce(jsonb_object_agg(z, date_trunc('second', pgdial.local_time(z, v_at))), '{}') from unnest(v_zones) z),
        'regions', to_jsonb(v_regions), 'hours', v_allowed -> 'hours',
        'hoursSource', (select h.source from pgdial.calling_hours h where h.name = v_allowed ->> 'hours'),
        'specialDays', pgdial.special_days_of(v_allowed ->> 'hours', v_zones, v_regions, v_at),
        'contactLimits', coalesce(v_allowed -> 'limits', '[]'), 'consentAt', v_allowed -> 'consentAt', 'consentRef', v_allowed -> 'consentRef',
        'consentExpiresAt', v_allowed -> 'consentExpiresAt', 'listAsOf', v_at,
        'dialsBefore', jsonb_build_object(
            'in24Hours', (select count(*) from unnest(v_dials) d where d > v_at - '24 hours'::interval),
            'in7Days', cardinality(v_dials)),
        'answeredAt', (select min(e.at) from pgdial.call_events e
                       where e.call_id = p_call.id and e.claim_no = v_attempt.claim_no and e.kind = 'answered'),
        'endedAt', v_attempt.ended_at, 'endedAs', v_attempt.ended_as, 'outcome', v_attempt.outcome,
        'disposition', v_attempt.disposition,
        'optedOut', (select jsonb_build_object('at', e.at, 'topic', e.detail ->> 'topic', 'campaign', e.detail ->> 'campaign')
                     from pgdial.call_events e
                     where e.call_id = p_call.id and e.claim_no = v_attempt.claim_no and e.kind = 'opted_out'
                     order by e.seq limit 1),
        'callback', (select jsonb_build_object('at', e.detail ->> 'callback_at', 'call', e.detail ->> 'call', 'why', e.detail ->> 'why')
                     from pgdial.call_events e
                     where e.call_id = p_call.id and e.claim_no = v_attempt.claim_no and e.kind = 'callback'
                     order by e.seq desc limit 1));
end $$;

-- special_days_of: the special days that fell on the local dates of a dial, in the calendars of its rules.
create or replace function pgdial.special_days_of(p_hours text, p_zones text[], p_regions text[], p_at timestamptz) returns jsonb
language plpgsql stable
as $$
begin
    return coalesce((
        select jsonb_agg(distinct jsonb_build_object('calendar', s.calendar, 'day', s.day, 'name', s.name))
        from pgdial.place_rules(p_hours, p_zones, p_regions) r
             join pgdial.special_days s on s.calendar = r.calendar and s.day = pgdial.local_time(r.zone, p_at)::date), '[]');
end $$;
