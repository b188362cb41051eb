-- look_ups_due: which dials to ask their providers about now. Each returned row is booked (look_up_at moves
-- on), so that only one of several workers asks.
-- p_most: the maximum per trunk, so that a provider that hangs delays only its own look-ups.
-- p_accounts: where these trunks dial (is_its_account).
-- Returns a JSON array of {id, claim_no, trunk, provider_call_id}; empty if the database is a copy.
-- Races: locked rows are skipped. Index: calls_in_flight (in flight only).
create or replace function pgdial.look_ups_due(p_trunks text[], p_most int[], p_accounts text[] default null) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_due jsonb;
begin
    if pgdial.cluster_changed() is not null then
        return '[]';    -- a copy has calls that are not its own: it asks no provider about them
    end if;
    with due as (
        select d.id
        from unnest(p_trunks, p_most) a (trunk, most)
             cross join lateral (
                 select c.id from pgdial.calls c cross join lateral pgdial.dial_terms(c.trunk, c.account, c.provider_call_id) t
                 where c.state in ('unresolved', 'in_call') and c.trunk = a.trunk and pgdial.look_up_due(c) <= v_now
                    and t.is_asked and pgdial.is_its_account(c, p_trunks, p_accounts)
                 order by pgdial.look_up_due(c) limit a.most for update of c skip locked) d
    ), booked as (
        update pgdial.calls c
        set look_up_at = v_now + greatest('5 seconds', least('2 minutes', (v_now - c.claimed_at) / 2,
                -- When "not found" may first count: the dial holds a slot until then.
                case when c.not_found_since > v_now - pgdial.lease(c)
                     then c.not_found_since + pgdial.lease(c) - v_now end))
        where c.id = any (array(select d.id from due d))
        returning c.id, c.claim_no, c.trunk, c.provider_call_id
    )
    select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'claim_no', b.claim_no, 'trunk', b.trunk,
                                                 'provider_call_id', b.provider_call_id)), '[]')
    into v_due from booked b;
    return v_due;
end $$;

-- look_up: what the provider replied when asked about a dial.
-- p_items: [{id, claim_no, answer: found | not_found, report?}].
-- "Found" is applied like a webhook (apply_report). "Not found" is believed only on an authoritative trunk, for
-- a dial whose provider id was never learnt, the third time over at least 60 s, or its lease: a provider's list
-- may lag behind its calls, and a repeat may be under way. Then the call waits again, its attempt not counted. Past the deadline, "not found" settles
-- as unknown.
-- Verdicts: those of a webhook, not_found, not_placed (it waits again), settled, stale, and those of each.
-- detail: {freed, hang_up: it is up past its deadline, ask the provider to end it}.
-- Races: a webhook that is faster makes this stale. Index: primary key.
create or replace function pgdial.look_up(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    return query select * from pgdial.each('look_up_one', p_items, p_wait);
end $$;

-- look_up_one: see each.
create or replace function pgdial.look_up_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
begin
    verdict := case
        when p_call.claim_no is distinct from (p_item ->> 'claim_no')::bigint
             or p_call.state::text not in ('unresolved', 'in_call') then 'stale'
        when p_item ->> 'answer' = 'found' then pgdial.apply_report(
            p_call.id, p_call.claim_no, p_call.trunk, p_item -> 'report', p_now)
        else pgdial.not_found(p_call, p_now) end;
    detail := jsonb_build_object(
        'freed', verdict <> 'stale' and not pgdial.is_taking(p_call.id, p_now),
        'hang_up', verdict <> 'stale' and exists (
            select from pgdial.calls c where c.id = p_call.id and c.state::text = 'in_call'
            and c.claim_no = p_call.claim_no and p_now >= pgdial.own_deadline(c)
            and pgdial.cluster_changed() is null));
end $$;

-- not_found: the provider does not know this dial. The caller holds the row.
create or replace function pgdial.not_found(p_call pgdial.calls, p_now timestamptz) returns text
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_authoritative constant boolean := exists (
        select from pgdial.dial_terms(p_call.trunk, p_call.account, p_call.provider_call_id) t where t.is_authoritative);
    v_call pgdial.calls;
begin
    update pgdial.calls c
    set not_found = c.not_found + 1, not_found_since = coalesce(c.not_found_since, p_now)
    where c.id = p_call.id and c.claim_no = p_call.claim_no and c.state::text in ('unresolved', 'in_call')
    returning c.* into v_call;
    if v_authoritative and v_call.state = 'unresolved' and v_call.provider_call_id is null
       and v_call.not_found >= 3 and v_call.not_found_since <= p_now - pgdial.lease(v_call) then
        perform pgdial.put_back(v_call, 'not_placed', null,
            jsonb_build_object('why', 'the provider does not know the dial'), p_now);
        return 'not_placed';
    elsif pgdial.own_deadline(v_call) <= p_now then
        perform pgdial.end_attempt(v_call, 'unknown',
            jsonb_build_object('why', 'past its deadline, and the provider does not know it'), null, p_now);
        return 'settled';
    end if;
    return 'not_found';
end $$;
