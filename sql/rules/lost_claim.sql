-- take_lost_claim: the provider reports a claim that the row does not know. Its reference is ours (a tag, the
-- account's signature or its list proves it), so its commit was lost: the row takes it over. The caller holds
-- the row, and applies the report afterwards.
-- p_claim_no: above the row's, and not above claim_floor: outside a recovery there is none.
-- Returns adopted (it is in flight), or held (the row has ended, or another call has its number: the reference
-- is used up, and the number is taken while that call is up).
create or replace function pgdial.take_lost_claim(
    p_call pgdial.calls, p_claim_no bigint, p_trunk text, p_report jsonb, p_now timestamptz
) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
begin
    if p_call.state::text in ('waiting', 'dialing', 'unresolved', 'in_call') then
        begin
            perform pgdial.adopt(p_call, p_claim_no, p_trunk, p_report, p_now);
            return 'adopted';
        exception when unique_violation then
            null;   -- two lost dials to one number
        end;
    end if;
    perform pgdial.use_up_claim(p_call, p_claim_no, p_trunk, p_report, p_now);
    return 'held';
end $$;

-- adopt: the lost claim becomes the row's, with a claimed_by that is not a worker, so that its request is not sent
-- again: it may be hours old.
create or replace function pgdial.adopt(
    p_call pgdial.calls, p_claim_no bigint, p_trunk text, p_report jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_call pgdial.calls;
begin
    update pgdial.calls c
    set state = 'unresolved', claim_no = p_claim_no,
        attempt = c.attempt + (p_call.state::text = 'waiting')::int,
        claimed_at = p_now, claimed_by = '00000000-0000-0000-0000-000000000000',
        lease_until = null, lease_sec = null, deadline_at = p_now + pgdial.longest_call(c.campaign),
        ring_timeout_sec = t.ring_timeout_sec, max_duration_sec = t.max_duration_sec,
        trunk = p_trunk, started_at = coalesce(c.started_at, p_now),
        provider_call_id = p_report ->> 'provider_call_id',
        look_up_at = null, not_found = 0, not_found_since = null, repeated_at = null
    from pgdial.longest_told(p_call.campaign) t
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text in ('waiting', 'dialing', 'unresolved', 'in_call')
    returning c.* into v_call;
    perform pgdial.note_lost_claim(v_call, p_call, p_trunk, p_report, p_now);
end $$;

-- use_up_claim: the reference was used, and is never used again; while that call is up, the number is taken.
create or replace function pgdial.use_up_claim(
    p_call pgdial.calls, p_claim_no bigint, p_trunk text, p_report jsonb, p_now timestamptz
) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_hold constant timestamptz := case when p_report ->> 'kind' <> 'ended'
                                        then p_now + pgdial.longest_call(p_call.campaign) end;
    v_call pgdial.calls;
begin
    update pgdial.calls c
    set claim_no = p_claim_no, hold_until = greatest(c.hold_until, v_hold),
        ring_timeout_sec = t.ring_timeout_sec, max_duration_sec = t.max_duration_sec,
        -- A waiting row has neither; any other state names the latest dial.
        trunk = case when c.state::text <> 'waiting' then p_trunk end,
        provider_call_id = case when c.state::text <> 'waiting' then p_report ->> 'provider_call_id' end,
        run_at = case when c.state::text = 'waiting' then greatest(c.run_at, v_hold) else c.run_at end
    from pgdial.longest_told(p_call.campaign) t
    where c.id = p_call.id and c.claim_no = p_call.claim_no
      and c.state::text not in ('dialing', 'unresolved', 'in_call')
    returning c.* into v_call;
    if not found then
        raise exception 'a live call of an earlier claim has the number of its own later one';
    end if;
    perform pgdial.note_lost_claim(v_call, p_call, p_trunk, p_report, p_now);
end $$;

-- note_lost_claim: also an active event, because later reports about the claim find its trunk there.
create or replace function pgdial.note_lost_claim(
    p_call pgdial.calls, p_before pgdial.calls, p_trunk text, p_report jsonb, p_now timestamptz
) returns void
language plpgsql volatile
as $$
begin
    perform pgdial.dial_rang(p_call, p_call.claim_no, null, false, p_now);
    perform pgdial.note(p_call, 'active', p_now, jsonb_build_object('trunk', p_trunk, 'recovered', true,
        'ring_timeout_sec', p_call.ring_timeout_sec, 'max_duration_sec', p_call.max_duration_sec));
    perform pgdial.note(p_call, 'recovered', p_now, jsonb_build_object(
        'was', p_before.state, 'was_claim_no', p_before.claim_no, 'status', p_report ->> 'status',
        'hold_until', p_call.hold_until));
end $$;
