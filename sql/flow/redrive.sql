-- redrive, redrive_many: terminal -> waiting, with all its attempts again, from the first of its numbers on. claim_no goes on
-- counting, so that nothing from an earlier claim can touch a later one.
-- p_items: [{id, by, why?, force?}]. force: a person decides that somebody who has answered is to be rung
-- again, with all attempts until they answer. Later reports about earlier dials then hold the number, but do
-- not end the call; the next redrive needs force again.
-- Verdicts: waiting, not_over, needs_force (it was answered: now, or earlier), held (nobody
-- knows whether it still rings; detail says until when: wait, or release it), suppressed (by the do-not-call list),
-- no_consent (its campaign requires one), forgotten (the number is gone), unknown_campaign, campaign_over, and those of pgdial.each.
--   select pgdial.redrive('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90', 'their line was down');
--   select * from pgdial.redrive_many('[{"id": "0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90", "by": "ann", "force": true}]');
-- Index: primary key.
create or replace function pgdial.redrive_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('redrive_one', p_items, p_wait);
end $$;

-- redrive_one: see each.
create or replace function pgdial.redrive_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
declare
    v_force constant boolean := coalesce((p_item ->> 'force')::boolean, false);
    v_phone constant text := pgdial.first_number(p_call, p_now);
begin
    verdict := pgdial.redrive_verdict(p_call, v_force, p_now);
    detail := jsonb_build_object('state', p_call.state, 'hold_until', p_call.hold_until);
    if verdict <> 'waiting' then
        return;
    end if;
    update pgdial.calls c
    set state = 'waiting', attempt = 0, deferrals = 0, run_at = p_now, phone = v_phone, invalid_numbers = null,
        area = case when v_phone = c.phone then c.area else pgdial.area_of(v_phone, c.timezone, c.region) end,
        expires_at = case when c.expires_at > p_now then c.expires_at end,
        outcome = null, disposition = null, last_error = null, result = null, ended_at = null,
        answered_at = null, answered_before = coalesce(c.answered_before, c.answered_at),
        forced_claim_no = case when v_force then c.claim_no else c.forced_claim_no end,
        claim_seq = default, lease_until = null, deadline_at = null, hold_until = null, trunk = null, claimed_by = null,
        provider_call_id = null, cancel_requested_at = null, cancel_requested_by = null,
        cancel_requested_why = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state = p_call.state;
    perform pgdial.note(p_call, 'redriven', p_now, jsonb_build_object(
        'by', p_item ->> 'by', 'why', p_item ->> 'why', 'from', p_call.state,
        'force', case when v_force then true end));
end $$;

-- redrive_verdict: the verdict that a redrive of this call would get.
create or replace function pgdial.redrive_verdict(p_call pgdial.calls, p_force boolean, p_now timestamptz) returns text
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
    return case
        when p_call.state in ('waiting', 'dialing', 'unresolved', 'in_call') then 'not_over'
        when p_call.hold_until > p_now then 'held'
        when not p_force and (p_call.state = 'completed' or p_call.answered_at is not null or p_call.answered_before is not null)
            then 'needs_force'
        when p_call.phone = 'forgotten' then 'forgotten'
        when pgdial.consent_problem(p_call, p_now) is not null then 'no_consent'
        when pgdial.forbidden(p_call, pgdial.first_number(p_call, p_now), p_now) is not null then 'suppressed'
        when not exists (select from pgdial.campaigns g where g.name = p_call.campaign and g.archived_at is null) then 'unknown_campaign'
        when not pgdial.is_on(p_call.campaign, 'infinity', p_now) then 'campaign_over'
        else 'waiting' end;
end $$;

create or replace function pgdial.redrive(
    p_id uuid, p_why text default null, p_force boolean default false, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_verdict text;
begin
    select r.verdict into v_verdict
    from pgdial.redrive_many(jsonb_build_array(jsonb_build_object(
        'id', p_id, 'by', p_by, 'why', p_why, 'force', p_force)), true) r;
    if v_verdict = 'waiting' then
        perform pgdial.wake('claim');
    end if;
    return v_verdict;
end $$;
