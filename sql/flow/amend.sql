-- amend_many: waiting -> waiting, with another scriptId, metadata, timezone, region (a part of a country), priority,
-- runAt, expiresAt, maxAttempts (not below the attempts used) or consent. Never the number or the campaign: cancel the
-- call and enqueue another.
-- p_items: [{id, by, why?, changes, versions?}], changes as in PATCH /calls/{id}; null clears expiresAt, timezone, region
-- and the fields of consent; versions: only if version_of is one of them.
-- Verdicts: amended, changed (another version), not_waiting, invalid (detail.problem says what to do), and those of pgdial.each.
--   select * from pgdial.amend_many('[{"id": "0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90", "by": "ann", "changes": {"priority": 9}}]');
-- Index: primary key.
create or replace function pgdial.amend_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('amend_one', p_items, p_wait);
end $$;

-- amend_one: see each. The changes are parsed as a request that includes the call's times, so limits and
-- their dependencies are checked in one place. The number is not checked again: it may have been valid only
-- when it was accepted.
create or replace function pgdial.amend_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
declare
    v_fixed constant text[] := array['to', 'campaign', 'from', 'idempotencyKey'];
    -- Anything but an object is treated as an unknown field, and refused.
    v_changes constant jsonb := case when jsonb_typeof(p_item -> 'changes') = 'object' then p_item -> 'changes'
                                     else '{"changes": "not an object"}' end;
    v_new record;
    v_problem text;
begin
    if jsonb_typeof(p_item -> 'versions') = 'array' and not p_item -> 'versions' ? pgdial.version_of('call', p_call.id::text) then
        verdict := 'changed';
        return;
    end if;
    if p_call.state::text <> 'waiting' then
        verdict := 'not_waiting';
        detail := jsonb_build_object('state', p_call.state);
        return;
    end if;
    select * into v_new from pgdial.read_request(
        jsonb_build_object('to', '+14155550100', 'scriptId', p_call.script_id, 'expiresAt', p_call.expires_at,
            'consentAt', p_call.consent_at, 'consentRef', p_call.consent_ref, 'consentExpiresAt', p_call.consent_expires_at)
        || case when v_changes ? 'expiresAt' then jsonb_build_object('runAt', p_call.run_at) else '{}' end
        || (v_changes - v_fixed));
    p_call.consent_at := v_new.consent_at;
    p_call.consent_expires_at := v_new.consent_expires_at;
    v_problem := case
        when v_changes ?| v_fixed then format(
            '%s cannot be changed: cancel the call and enqueue another',
            (select string_agg(format('"%s"', f), ', ') from unnest(v_fixed) f where v_changes ? f))
        when v_new.problem is not null then v_new.problem
        when v_new.region is null and v_changes ->> 'region' is not null then
            '"region" of a waiting call is a part of a country, as in US-FL: its number has been read'
        when v_new.max_attempts < p_call.attempt then
            format('"maxAttempts" cannot be below the %s attempts already used', p_call.attempt)
        when v_new.expires_at <= p_now then '"expiresAt" lies in the past: cancel the call instead'
        when v_changes ?| '{consentAt,consentExpiresAt}' then pgdial.consent_words(
            pgdial.consent_problem(p_call, p_now), p_call.campaign, p_call.consent_expires_at) end;
    if v_problem is not null then
        verdict := 'invalid';
        detail := jsonb_build_object('problem', v_problem);
        return;
    end if;
    update pgdial.calls c
    set script_id = v_new.script_id,
        metadata = case when v_changes ? 'metadata' then v_new.metadata else c.metadata end,
        timezone = t.timezone, region = t.region, area = pgdial.area_of(c.phone, t.timezone, t.region),
        priority = case when v_changes ? 'priority' then v_new.priority else c.priority end,
        -- A held number stays held: the retry of an unexplained dial is never brought forward.
        run_at = greatest(coalesce(v_new.run_at, c.run_at), c.hold_until),
        expires_at = case when v_changes ? 'expiresAt' then v_new.expires_at else c.expires_at end,
        max_attempts = coalesce(v_new.max_attempts, c.max_attempts),
        consent_at = v_new.consent_at, consent_ref = v_new.consent_ref, consent_expires_at = v_new.consent_expires_at
    from (select case when v_changes ? 'timezone' then v_new.timezone else p_call.timezone end as timezone,
                 case when v_changes ? 'region' then v_new.region else p_call.region end as region) t
    where c.id = p_call.id and c.state::text = 'waiting';
    perform pgdial.note(p_call, 'amended', p_now, jsonb_build_object(
        'by', p_item ->> 'by', 'why', p_item ->> 'why', 'changes', v_changes - 'metadata'));
    verdict := 'amended';
end $$;
