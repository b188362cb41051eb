-- resolve, resolve_many: a person knows the outcome of a dial that pgdial cannot explain: one in doubt, one past its
-- deadline, or one that was given up as unknown.
-- p_items: [{id, as, by, why, claim_no?}]. claim_no: the dial that is meant; without it, the one that is in
-- doubt now. as: not_placed (nobody was rung: it waits again, its attempt not counted), or the outcome of the
-- dial; capacity and account are not_placed.
-- Verdicts: resolved, stale (it has been claimed again, P6), not_in_doubt (it waits, is within its deadline, or
-- its end is known), answered (somebody spoke to us, so it was placed), under_way (its request was sent again
-- within the last minute and may ring), and those of pgdial.each. detail: {state: what the call is now}.
--   select pgdial.resolve('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90', 'no_answer', 'seen in the console');
--   select * from pgdial.resolve_many('[{"id": "0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90", "as": "not_placed", "by": "ann", "why": "seen in the console"}]');
-- Races: a webhook or a look-up that was faster has ended the doubt. Later reports about this dial are judged
-- like those about any dial that was put back or settled.
-- Index: primary key.
create or replace function pgdial.resolve_many(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('resolve_one', p_items, p_wait);
end $$;

-- resolve_one: see each.
create or replace function pgdial.resolve_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
begin
    verdict := case when (p_item ->> 'claim_no')::bigint <> p_call.claim_no then 'stale'
                    else pgdial.resolve_verdict(p_call, p_item ->> 'as', p_now) end;
    if verdict = 'resolved' then
        perform pgdial.apply_resolution(p_call, p_item ->> 'as', jsonb_build_object(
            'by', p_item ->> 'by', 'why', p_item ->> 'why'), p_now);
    end if;
    detail := (select jsonb_build_object('state', c.state) from pgdial.calls c where c.id = p_call.id);
end $$;

-- resolve_verdict: the verdict that a resolve of this call would get.
create or replace function pgdial.resolve_verdict(p_call pgdial.calls, p_as text, p_now timestamptz) returns text
language plpgsql stable
as $$
begin
    return case
        when not (p_call.state::text = 'unresolved'
                  or p_call.state::text in ('dialing', 'in_call') and pgdial.own_deadline(p_call) <= p_now
                  or p_call.state::text = 'failed' and p_call.outcome::text = 'unknown'
                     and p_call.phone <> 'forgotten') then 'not_in_doubt'
        when p_as <> 'not_placed' then 'resolved'
        when p_call.answered_at is not null then 'answered'
        when p_call.repeated_at > p_now - pgdial.lease(p_call) then 'under_way'
        else 'resolved' end;
end $$;

-- apply_resolution: the same path as a provider's report, with who resolved it and why in the events. The
-- caller holds the row's lock.
create or replace function pgdial.apply_resolution(p_call pgdial.calls, p_as text, p_detail jsonb, p_now timestamptz)
returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
begin
    perform pgdial.note(p_call, 'resolved', p_now, p_detail || jsonb_build_object('as', p_as));
    -- Of what is unknown, not placed or refused, the doubt remains what it was: the provider's failure.
    if p_as not in ('not_placed', 'unknown', 'provider_fault', 'blocked', 'invalid_number') then
        perform pgdial.explained(p_call);
    end if;
    if p_call.state::text = 'failed' then
        perform pgdial.resolve_given_up(p_call, p_as, p_detail, p_now);
    elsif p_as = 'not_placed' then
        perform pgdial.put_back(p_call, 'not_placed', null, p_detail, p_now);
    else
        perform pgdial.end_attempt(p_call, p_as::pgdial.outcome, p_detail, null, p_now);
    end if;
    -- What a person says of a dial is in its events. The error stays what was heard of it: failures are grouped by that.
    update pgdial.calls c set last_error = p_call.last_error
    where c.id = p_call.id and c.last_error = p_detail ->> 'why';
end $$;

-- resolve_given_up: its attempt ended long ago, so the outcome is recorded and nothing is retried: use redrive
-- for that. What the dial held is freed, unless nobody can know any more (unknown); what other dials of the
-- call hold is kept.
create or replace function pgdial.resolve_given_up(p_call pgdial.calls, p_as text, p_detail jsonb, p_now timestamptz)
returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_phone constant text := pgdial.present_number(p_call, p_now);
    v_ended constant text := case when p_as in ('answered', 'voicemail') then 'completed'
                                  when p_as = 'canceled' then 'canceled'
                                  when p_as <> 'not_placed' then 'failed'
                                  when pgdial.forbidden(p_call, v_phone, p_now) is not null then 'suppressed' end;
    v_hold constant timestamptz := case when p_as = 'unknown' then p_call.hold_until
                                        else pgdial.held_by_others(p_call, p_call.claim_no) end;
begin
    if p_as = 'not_placed' then
        perform pgdial.undo_dial(p_call.id, p_call.claim_no);
    else
        perform pgdial.dial_rang(p_call, p_call.claim_no, p_as::pgdial.outcome, p_as = 'answered', p_now);
    end if;
    update pgdial.calls c
    set state = coalesce(v_ended, 'waiting')::pgdial.call_state,
        phone = case when v_ended is null then v_phone else c.phone end,
        area = case when v_ended is null and v_phone <> c.phone then pgdial.area_of(v_phone, c.timezone, c.region) else c.area end,
        hold_until = v_hold, last_error = p_detail ->> 'why',
        outcome = case when p_as <> 'not_placed' then p_as end::pgdial.outcome,
        attempt = case when p_as = 'not_placed' then c.attempt - 1 else c.attempt end,
        answered_at = case when v_ended = 'completed' then coalesce(c.answered_at, p_now) else c.answered_at end,
        ended_at = case when v_ended is not null then c.ended_at end,
        run_at = case when v_ended is null then greatest(p_now, v_hold) else c.run_at end,
        trunk = case when v_ended is not null then c.trunk end,
        claimed_by = case when v_ended is not null then c.claimed_by end,
        provider_call_id = case when v_ended is not null then c.provider_call_id end,
        claim_seq = default, lease_until = null, deadline_at = null,
        cancel_requested_at = null, cancel_requested_by = null, cancel_requested_why = null
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text = 'failed';
    perform pgdial.note(p_call, coalesce(v_ended, 'deferred'), p_now, p_detail || jsonb_build_object(
        'outcome', case when p_as <> 'not_placed' then p_as end, 'reason', case when p_as = 'not_placed' then p_as end));
end $$;

create or replace function pgdial.resolve(
    p_id uuid, p_as text, p_why text, p_by text default session_user, p_claim_no bigint default null
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_verdict text;
begin
    perform pgdial.check_resolution(p_as, p_why);
    select r.verdict into v_verdict
    from pgdial.resolve_many(jsonb_build_array(jsonb_build_object(
        'id', p_id, 'as', p_as, 'by', p_by, 'why', p_why, 'claim_no', p_claim_no)), true) r;
    if v_verdict = 'resolved' then
        perform pgdial.wake('claim');
    end if;
    return v_verdict;
end $$;

-- check_resolution: an error that says what is wrong with a resolution.
create or replace function pgdial.check_resolution(p_as text, p_why text) returns void
language plpgsql stable
as $$
declare
    v_known constant text[] := array['not_placed'] || array_remove(array_remove(
        enum_range(null::pgdial.outcome)::text[], 'capacity'), 'account');
begin
    if p_as is null or p_as <> all (v_known) then
        raise exception '"as" says what came of the dial: one of %', array_to_string(v_known, ', ')
            using errcode = 'invalid_parameter_value';
    elsif coalesce(trim(p_why), '') = '' then
        raise exception '"why" is missing: it is kept with the call' using errcode = 'invalid_parameter_value';
    end if;
end $$;
