-- doubt: dialing -> unresolved: the dial may have reached the provider, nobody knows. It keeps its slot and
-- its number, and is never dialled again blindly: its webhook, or its deadline, ends it.
-- p_items: [{id, claim_no, why}].
-- Verdicts: unresolved, stale, and those of each.
-- Races: an early webhook may already have moved it on (stale); the sweep does the same to rows whose lease
-- has expired.
-- Index: primary key.
create or replace function pgdial.doubt(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
    return query select * from pgdial.each('doubt_one', p_items, p_wait);
end $$;

-- doubt_one: see each.
create or replace function pgdial.doubt_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
begin
    update pgdial.calls c
    set state = 'unresolved', lease_until = null, last_error = p_item ->> 'why'
    where c.id = p_call.id and c.claim_no = (p_item ->> 'claim_no')::bigint and c.state::text = 'dialing'
    returning c.* into p_call;
    if not found then
        verdict := 'stale';
        return;
    end if;
    perform pgdial.weigh(p_call, 'fault', p_item ->> 'why', null, p_now);
    perform pgdial.note(p_call, 'unresolved', p_now, jsonb_build_object('why', p_item ->> 'why'));
    verdict := 'unresolved';
end $$;
