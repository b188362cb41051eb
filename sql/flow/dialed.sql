-- dialed: dialing, unresolved -> in_call: the provider has accepted the dial.
-- p_items: [{id, claim_no, provider_call_id}].
-- Verdicts: in_call, stale (another claim, or already ended), locked_out, refused (a constraint or a trigger
-- refused it: detail.why), not_found.
-- detail.cancel: a cancel was requested: ask the provider. detail.freed: other calls may be dialled, because
-- a parked event ended this one at once, or it closed the trunk's breaker, or its campaign is no longer on
-- trial.
-- Races: an early webhook may already have stored the provider's id, moved the call to in_call (the id is
-- stored all the same: a cancel needs it), or ended it. An id other than the known one is a conflict: kept as
-- an event, not applied.
-- All items together; if that fails, one by one.
-- Index: primary key, webhook_events_parked_by_provider; pinned, since the plans are generic.
create or replace function pgdial.dialed(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
as $$
begin
    return query select * from pgdial.dialed_all(p_items, p_wait);
exception when integrity_constraint_violation or raise_exception or data_exception then
    return query select * from pgdial.each_alone('dialed_all', p_items, p_wait);
end $$;

-- dialed_all: all items or, on an error, none.
create or replace function pgdial.dialed_all(p_items jsonb, p_wait boolean)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
    -- Locked and updated in one subtransaction, see lock_calls.
    v_locks constant text[] := array(select l.verdict from pgdial.locked_items(p_items, p_wait) l order by l.ordinal);
    v_now constant timestamptz := pgdial.now();
    v_words text[];
    v_cancels boolean[];
    v_conflicts boolean[];
    v_freed int[] := '{}';
    v_trunks text[];
    v_new uuid[];
    v_campaigns text[];
    v_awaited int[];
    v_again int[];
    v_opened boolean := false;
    v_closed text[] := '{}';
    v_trunk text;
    v_n int;
    v_call pgdial.calls;
begin
    with item as (
        select e.n, (e.i ->> 'id')::uuid as id, (e.i ->> 'claim_no')::bigint as claim_no,
               e.i ->> 'provider_call_id' as name
        from jsonb_array_elements(p_items) with ordinality as e (i, n)
    ), about as (
        select t.n, t.id, t.claim_no, t.name, t.nth, c.attempt, c.trunk, c.campaign, c.state::text as state,
               c.provider_call_id as its_name, c.cancel_requested_at is not null as cancel,
               t.claim_no = c.claim_no and not pgdial.same_name(c.provider_call_id, t.name) as conflict,
               -- is_awaited, inlined to save a statement per item.
               (select w.id from pgdial.webhook_events w
                where w.verdict in ('parked', 'unmatched') and w.trunk = c.trunk and w.reference is not distinct from ''
                  and w.call_id is null
                  and w.report ->> 'provider_call_id' = any (pgdial.spellings(t.name)) limit 1) is not null as awaited,
               case when c.id is null then coalesce(v_locks[t.n], 'again')
                    when t.claim_no = c.claim_no and c.state::text in ('dialing', 'unresolved', 'in_call') then 'in_call'
                    else 'stale' end as word
        from (select i.*, row_number() over (partition by i.id order by i.n) as nth from item i) t
             left join pgdial.calls c on c.id = t.id and t.nth = 1 and v_locks[t.n] is null
    ), moved as (
        update pgdial.calls c
        set state = 'in_call', lease_until = null, provider_call_id = coalesce(c.provider_call_id, a.name)
        from about a
        where a.word = 'in_call' and (a.state <> 'in_call' or a.its_name is null)   -- otherwise a webhook was faster
          and c.id = a.id and c.claim_no = a.claim_no and c.state::text in ('dialing', 'unresolved', 'in_call')
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select v_now, u.id, u.claim_no, u.attempt, u.kind, jsonb_strip_nulls(u.detail)
        from (select a.*, 'conflict' as kind, jsonb_build_object('provider_call_id', a.name,
                     'why', 'the provider answered with another id than its webhook') as detail
              from about a where a.conflict
              union all
              select a.*, 'in_call', jsonb_build_object('provider_call_id', a.name)
              from about a where a.word = 'in_call' and a.state <> 'in_call') u
        order by u.n, u.kind
    )
    select array_agg(a.word order by a.n), array_agg(a.trunk order by a.n),
           array_agg(a.cancel order by a.n), array_agg(a.conflict order by a.n),
           array_agg(a.id) filter (where a.word = 'in_call' and a.state <> 'in_call'),
           array_agg(distinct a.campaign) filter (where a.word = 'in_call' and a.state <> 'in_call'),
           array_agg(a.n::int order by a.n) filter (where a.word = 'in_call' and a.awaited),
           array_agg(a.n::int order by a.n) filter (where a.word = 'again')
    into v_words, v_trunks, v_cancels, v_conflicts, v_new, v_campaigns, v_awaited, v_again from about a;

    if v_new is not null then
        v_opened := pgdial.accepted(v_new, v_campaigns, v_trunks, v_now);
    end if;
    if exists (select from pgdial.trunk_breaker b where b.faults > 0) then
        -- Not as a condition on trunk_breaker: the planner could evaluate it for trunks of other calls.
        foreach v_trunk in array array(
            select distinct u.trunk from unnest(v_words, v_trunks) u (word, trunk) where u.word = 'in_call')
        loop
            if pgdial.breaker_works(v_trunk) then
                v_closed := v_closed || v_trunk;
            end if;
        end loop;
    end if;
    -- Events that waited for the provider's id.
    foreach v_n in array coalesce(v_awaited, '{}') loop
        select c.* into v_call from pgdial.calls c where c.id = (p_items -> v_n - 1 ->> 'id')::uuid;
        perform pgdial.apply_parked(v_call, p_items -> v_n - 1 ->> 'provider_call_id', v_now);
        if not pgdial.is_taking(v_call.id, v_now) then
            v_freed := v_freed || v_n;
        end if;
    end loop;
    return query
        select w.n::int, w.word, case when w.conflict then d.detail || '{"conflict": true}' else d.detail end
        from unnest(v_words, v_trunks, v_cancels, v_conflicts) with ordinality w (word, trunk, cancel, conflict, n),
             lateral (select case w.word
                 when 'in_call' then jsonb_build_object(
                     'freed', v_opened or w.trunk = any (v_closed) or w.n = any (v_freed), 'cancel', w.cancel)
                 when 'stale' then '{"cancel": false}' else '{}' end) d (detail)
        where w.word <> 'again';
    -- Items whose call an earlier item names too.
    if v_again is not null then
        return query
            select v_again[d.ordinal], d.verdict, d.detail
            from pgdial.dialed_all((select jsonb_agg(p_items -> g - 1 order by g) from unnest(v_again) g), false) d;
    end if;
end $$;
