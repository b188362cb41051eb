-- dialed: dialing, unresolved -> in_call: the provider has accepted the dial.
-- p_items: [{id, claim_no, provider_call_id}].
-- Verdicts: in_call, stale (another claim, or it has ended already), locked_out, refused
-- (a constraint or a trigger says no: detail.why), not_found.
-- detail.cancel: somebody wishes the call ended: ask the provider. detail.freed: a parked
-- event has ended it at once, it has closed the trunk's breaker, or its campaign is no longer on trial:
-- others may dial.
-- Races: an early webhook may have set the provider's id, taken the call to in_call (then
-- the id is stored all the same: a cancel needs it), or ended it, before us; another id
-- than the one already known is a conflict: kept as an event, not applied.
-- What is plain is taken together (dialed_together); the others, and all where that fails,
-- one by one.
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
declare
    v_locks text[];
    v_words text[];
    v_details jsonb[];
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
    v_id text;
    v_opened boolean;
begin
    begin
        -- Locked and updated in one subtransaction, see lock_calls.
        v_locks := array(select l.verdict from pgdial.locked_items(p_items, p_wait) l order by l.ordinal);
        v_now := pgdial.now();
        select t.words, t.details into v_words, v_details from pgdial.dialed_together(p_items, v_locks, v_now) t;
    exception when integrity_constraint_violation or raise_exception or data_exception then
        v_locks := array(select l.verdict from pgdial.locked_items(p_items, p_wait) l order by l.ordinal);
        v_now := pgdial.now();
        v_words := '{}';
    end;
    return query select w.n::int, w.word, w.detail
                 from unnest(v_words, v_details) with ordinality w (word, detail, n) where w.word is not null;
    if array_position(v_words, null) is null and cardinality(v_words) = cardinality(v_locks) then
        return;
    end if;

    for v_item in select e.n::int as ordinal, e.i as item, (e.i ->> 'id')::uuid as id, v_locks[e.n] as verdict
                  from jsonb_array_elements(p_items) with ordinality e (i, n)
                  where v_words[e.n] is null order by e.n
    loop
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := '{}';
        if verdict is null then
            begin
                v_id := v_item.item ->> 'provider_call_id';
                select c.* into v_call from pgdial.calls c where c.id = v_item.id;
                if v_call.claim_no = (v_item.item ->> 'claim_no')::bigint and not pgdial.same_name(v_call.provider_call_id, v_id) then
                    perform pgdial.note(v_call, 'conflict', v_now, jsonb_build_object(
                        'provider_call_id', v_id, 'why', 'the provider answered with another id than its webhook'));
                    detail := jsonb_build_object('conflict', true);
                end if;
                if v_call.claim_no = (v_item.item ->> 'claim_no')::bigint
                   and v_call.state::text in ('dialing', 'unresolved', 'in_call') then
                    update pgdial.calls c
                    set state = 'in_call', lease_until = null, provider_call_id = coalesce(c.provider_call_id, v_id)
                    where c.id = v_item.id and c.claim_no = v_call.claim_no
                      and c.state::text in ('dialing', 'unresolved', 'in_call');
                    v_opened := false;
                    if v_call.state::text <> 'in_call' then   -- else a webhook was faster, and has noted it
                        perform pgdial.note(v_call, 'in_call', v_now, jsonb_build_object('provider_call_id', v_id));
                        v_opened := pgdial.accepted(array[v_call.id], array[v_call.campaign], array[v_call.trunk], v_now);
                    end if;
                    perform pgdial.apply_parked(v_call, v_id, v_now);
                    detail := detail || jsonb_build_object('freed',
                        pgdial.breaker_works(v_call.trunk) or v_opened or not pgdial.is_taking(v_call.id, v_now));
                    verdict := 'in_call';
                else
                    verdict := 'stale';
                end if;
                detail := detail || jsonb_build_object(
                    'cancel', verdict = 'in_call' and v_call.cancel_requested_at is not null);
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;

-- dialed_together: a word and a detail for each item that is plain, null for the others. Plain:
-- ours, no id in conflict, no parked event that waits for this id, no item of the same call
-- before it.
create or replace function pgdial.dialed_together(
    p_items jsonb, p_locks text[], p_now timestamptz, out words text[], out details jsonb[]
)
language plpgsql volatile
as $$
declare
    v_trunks text[];
    v_cancels boolean[];
    v_closed text[];
    v_ids uuid[];
    v_campaigns text[];
    v_opened boolean := false;
    v_trunk text;
begin
    with item as (
        select e.n, (e.i ->> 'id')::uuid as id, (e.i ->> 'claim_no')::bigint as claim_no,
               e.i ->> 'provider_call_id' as name
        from jsonb_array_elements(p_items) with ordinality as e (i, n)
    ), about as (
        select t.n, t.id, t.claim_no, t.name, c.attempt, c.trunk, c.campaign, c.state::text as state, c.provider_call_id as its_name,
               c.cancel_requested_at is not null as cancel,
               case when c.id is null then null                    -- not ours, or not the first
                    when t.claim_no <> c.claim_no then 'stale'
                    when not pgdial.same_name(c.provider_call_id, t.name) then null     -- a conflict
                    when c.state::text not in ('dialing', 'unresolved', 'in_call') then 'stale'
                    when (select w.id from pgdial.webhook_events w
                          where w.verdict in ('parked', 'unmatched') and w.trunk = c.trunk and w.reference is not distinct from ''
                            and w.report ->> 'provider_call_id' = any (pgdial.spellings(t.name)) limit 1) is null
                    then 'in_call' end as word
        from (select i.*, row_number() over (partition by i.id order by i.n) as nth from item i) t
             left join pgdial.calls c on c.id = t.id and t.nth = 1 and p_locks[t.n] is null
    ), moved as (
        update pgdial.calls c
        set state = 'in_call', lease_until = null, provider_call_id = coalesce(c.provider_call_id, a.name)
        from about a
        where a.word = 'in_call' and (a.state <> 'in_call' or a.its_name is null)   -- else a webhook was faster
          and c.id = a.id and c.claim_no = a.claim_no and c.state::text in ('dialing', 'unresolved', 'in_call')
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, a.id, a.claim_no, a.attempt, 'in_call',
               jsonb_strip_nulls(jsonb_build_object('provider_call_id', a.name))
        from about a where a.word = 'in_call' and a.state <> 'in_call'
        order by a.n
    )
    select array_agg(a.word order by a.n), array_agg(a.cancel order by a.n), array_agg(a.trunk order by a.n),
           array_agg(a.id) filter (where a.word = 'in_call' and a.state <> 'in_call'),
           array_agg(distinct a.campaign) filter (where a.word = 'in_call' and a.state <> 'in_call')
    into words, v_cancels, v_trunks, v_ids, v_campaigns from about a;
    if v_ids is not null then
        v_opened := pgdial.accepted(v_ids, v_campaigns, v_trunks, p_now);
    end if;

    v_closed := '{}';
    if exists (select from pgdial.trunk_breaker b where b.faults > 0) then
        -- Not as a condition on trunk_breaker: it might be asked of trunks that are none of ours.
        foreach v_trunk in array array(
            select distinct u.trunk from unnest(words, v_trunks) u (word, trunk) where u.word = 'in_call')
        loop
            if pgdial.breaker_works(v_trunk) then
                v_closed := v_closed || v_trunk;
            end if;
        end loop;
    end if;
    details := array(
        select case w.word when 'in_call' then jsonb_build_object('freed', v_opened or w.trunk = any (v_closed), 'cancel', w.cancel)
                           when 'stale' then '{"cancel": false}' end
        from unnest(words, v_cancels, v_trunks) with ordinality w (word, cancel, trunk, n) order by w.n);
end $$;
