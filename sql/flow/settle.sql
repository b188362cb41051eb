-- settle: an attempt in flight ends: completed, waiting again (retried), failed or canceled.
-- p_items: [{id, claim_no, outcome, why?, concerns?}]. Used by workers for a dial that was certainly refused;
-- webhooks come through webhook.sql. Both end in end_attempts.
-- A fault counts for the trunk's breaker; while that is open no attempt is used up. Blocked counts for the
-- campaign's guard, unless the refusal concerns the number.
-- Verdicts: completed, retried, failed, canceled, suppressed, expired, deferred (breaker), stale, locked_out, refused (a
-- constraint or a trigger refused it: detail.why), not_found.
-- Races: a webhook, the sweep; the first writer wins by claim_no and state. The refusal of a dial that a
-- webhook has moved to in_call is stale: the provider has the call, whatever its response said, and settling
-- would free the number while it rings. Likewise when its request was sent again meanwhile: the repeat may
-- ring.
-- Index: primary key.
create or replace function pgdial.settle(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    return query select * from pgdial.settle_all(p_items, p_wait);
exception when integrity_constraint_violation or raise_exception or data_exception then
    return query select * from pgdial.each_alone('settle_all', p_items, p_wait);
end $$;

-- settle_all: all items or, on an error, none. Provider faults are settled one after the other, because each
-- may open the breaker for the next; the others in one statement. Rows are locked as they are read, in id
-- order; without p_wait locked rows are skipped.
create or replace function pgdial.settle_all(p_items jsonb, p_wait boolean)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
    v_now constant timestamptz := pgdial.now();
    v_items constant pgdial.dial_item[] := array(
        select row(e.n, e.i, k.id, k.claim_no, row_number() over (partition by k.id, k.claim_no order by e.n) = 1)::pgdial.dial_item
        from jsonb_array_elements(p_items) with ordinality as e (i, n),
             lateral (select (e.i ->> 'id')::uuid, (e.i ->> 'claim_no')::bigint) as k (id, claim_no));
    v_endings pgdial.ending[];
    v_ordinals int[];    -- of the items they belong to
    v_trunks text[];
begin
    if p_wait then
        perform pgdial.lock_calls(array(select i.id from unnest(v_items) i), true);
    end if;
    select coalesce(array_agg(pgdial.decide_ending(
               l.c, g, (l.item ->> 'outcome')::pgdial.outcome, jsonb_build_object('why', l.item ->> 'why'), null, v_now)), '{}'),
           coalesce(array_agg(l.ordinal), '{}')
    into v_endings, v_ordinals
    from (select c, i.item, i.ordinal from unnest(v_items) i join pgdial.calls c on c.id = i.id
          where i.is_first and i.item ->> 'outcome' <> 'provider_fault' and pgdial.may_settle(c, i.item)
          order by i.id for update of c skip locked) l
         left join pgdial.campaigns g on g.name = (l.c).campaign;
    if exists (select from pgdial.trunk_breaker b where b.faults > 0) then
        v_trunks := array(select distinct c.trunk from unnest(v_endings) e join pgdial.calls c on c.id = e.id);
        perform pgdial.breaker_works(t), pgdial.works(array[t], v_now) from unnest(v_trunks) t;
    end if;
    perform pgdial.end_attempts(v_endings, v_now);
    perform pgdial.undo_dials(array_agg(e.id), array_agg(e.claim_no)) from unnest(v_endings) e
    where e.outcome::text in ('blocked', 'invalid_number') having count(*) > 0;
    perform pgdial.weigh(c, 'refused', i.item ->> 'why', null, v_now, i.item ->> 'concerns')
    from unnest(v_items) i join unnest(v_ordinals) o on o = i.ordinal join pgdial.calls c on c.id = i.id
    where i.item ->> 'outcome' = 'blocked' and i.item ->> 'concerns' is distinct from 'number' and c.trunk is not null;

    return query
        select e.ordinal, e.verdict, null::jsonb
        from unnest(v_ordinals, array(select n.verdict from unnest(v_endings) n)) e (ordinal, verdict)
        union all
        select i.ordinal, case when i.is_first then pgdial.why_not_settled(i.item) else 'stale' end, null
        from unnest(v_items) i
        where i.item ->> 'outcome' <> 'provider_fault' and i.ordinal not in (select o from unnest(v_ordinals) o);
    return query
        select f.ordinal, pgdial.settle_fault(f.item, v_now), null::jsonb
        from (select i.* from unnest(v_items) i where i.item ->> 'outcome' = 'provider_fault' order by i.ordinal) f;
end $$;

-- may_settle: is the item's dial still in flight, and allowed to be settled?
create or replace function pgdial.may_settle(p_call pgdial.calls, p_item jsonb) returns boolean
language sql stable
as $$
    select p_call.claim_no = (p_item ->> 'claim_no')::bigint
       and p_call.state::text in ('dialing', 'unresolved', 'in_call') and p_call.repeated_at is null
       and (p_call.state::text <> 'in_call'
            or p_item ->> 'outcome' not in ('provider_fault', 'blocked', 'invalid_number'))
$$;

-- why_not_settled: the verdict for an item whose row could not be taken. If it could be settled, another
-- transaction holds it.
create or replace function pgdial.why_not_settled(p_item jsonb) returns text
language plpgsql stable
as $$
begin
    return coalesce((select case when pgdial.may_settle(c, p_item) then 'locked_out' else 'stale' end
                     from pgdial.calls c where c.id = (p_item ->> 'id')::uuid), 'not_found');
end $$;

-- settle_fault: a provider fault counts for the breaker. While that is open the provider is down, not the call:
-- its attempts are kept for when the provider is back.
create or replace function pgdial.settle_fault(p_item jsonb, p_now timestamptz) returns text
language plpgsql volatile
as $$
declare
    v_detail constant jsonb := jsonb_build_object('why', p_item ->> 'why');
    v_call pgdial.calls;
begin
    select c.* into v_call from pgdial.calls c
    where c.id = (p_item ->> 'id')::uuid and pgdial.may_settle(c, p_item) for update skip locked;
    if not found then
        return pgdial.why_not_settled(p_item);
    elsif pgdial.weigh(v_call, 'fault', p_item ->> 'why', null, p_now) then
        return pgdial.put_back(v_call, 'fault', null, v_detail, p_now);
    end if;
    perform pgdial.undo_dial(v_call.id, v_call.claim_no);
    return pgdial.end_attempt(v_call, 'provider_fault', v_detail, null, p_now);
end $$;
