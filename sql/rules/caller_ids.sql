-- Caller ids: which number a call is dialled from.
--
-- A call's own number is dialled from as it was asked for. Otherwise the campaign's pool gives one, chosen by the
-- claim, behind the gate, so that claims cannot exceed a daily cap together: the number that this callee was last
-- rung from; else one that shares the longest prefix with the callee; of several the one least used in 24 hours.
-- The use of a number is the rows of `dials` with it, whoever asked for it. While a pool has nothing left, its
-- campaigns wait (lanes: caller_ids_spent).
-- Index: caller_ids_of_pool, dials_by_caller_id, the primary key of dials.

-- usable_caller_ids: the numbers of these pools and trunks, parallel arrays, that are neither paused nor resting
-- nor at their cap.
create or replace function pgdial.usable_caller_ids(p_pools text[], p_trunks text[], p_now timestamptz)
returns setof pgdial.usable_caller_id
language plpgsql stable
as $$
declare
    v_ids constant pgdial.caller_ids[] := array(
        select k from (select distinct p.pool, p.trunk from unnest(p_pools, p_trunks) p (pool, trunk)) p
                      join pgdial.caller_ids k on k.pool = p.pool and k.trunk = p.trunk
        where not k.paused and coalesce(k.rest_until <= p_now, true));
begin
    return query
    select k.number, k.pool, k.trunk, coalesce(k.daily_cap, 1000000) - u.used, u.used
    from unnest(v_ids) k join pgdial.dials_from(v_ids, p_now) u on u.number = k.number
    where u.used < coalesce(k.daily_cap, 1000000);
end $$;

-- dials_from: how often these numbers were dialled from in 24 hours; of one without a cap, at most a thousand are
-- counted: more makes no difference to the choice.
-- A session remembers what it counted, for a minute, and counts what came and what left since. It does so behind the
-- gate only: there no dial before now can still be uncommitted. A dial that is undone meanwhile counts until then, and
-- where it may have been the one too many, for 5 s.
create or replace function pgdial.dials_from(p_ids pgdial.caller_ids[], p_now timestamptz)
returns table (number text, used int)
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_known constant pgdial.counted_dials[] := nullif(current_setting('pgdial.counted_dials', true), '')::pgdial.counted_dials[];
    v_counted pgdial.counted_dials[];
begin
    v_counted := array(
        select row(k.number, case when o.number is null then f.used else o.used - l.used + c.used end, p_now,
                   case when o.number is null then p_now else o.since end)::pgdial.counted_dials
        from unnest(p_ids) k
             left join unnest(v_known) o on o.number = k.number and o.as_of <= p_now
                  and o.since > p_now - case when o.used >= k.daily_cap then '5 seconds' else '1 minute' end::interval
             left join lateral (
                 select count(*)::int as used
                 from (select from pgdial.dials d
                       where o.number is null and d.from_number = k.number and d.at > p_now - '24 hours'::interval and d.at < p_now
                       limit case when k.daily_cap is null then 1000 end) d) f on true
             left join lateral (
                 select count(*)::int as used from pgdial.dials d
                 where d.from_number = k.number and d.at > o.as_of - '24 hours'::interval and d.at <= p_now - '24 hours'::interval) l on true
             left join lateral (
                 select count(*)::int as used from pgdial.dials d
                 where d.from_number = k.number and d.at >= o.as_of and d.at < p_now) c on true);
    if current_setting('pgdial.gate', true) = 'held' then
        perform set_config('pgdial.counted_dials', array(
            select n from unnest(v_counted) n
            union all
            select o from unnest(v_known) o
            where o.number not in (select n.number from unnest(v_counted) n) and o.since > p_now - '1 minute'::interval
            limit 1000)::text, false);
    end if;
    return query
        select n.number, greatest(n.used, 0) + (
            -- Of this very instant.
            select count(*)::int from pgdial.dials d where d.from_number = n.number and d.at >= p_now)
        from unnest(v_counted) n;
end $$;

-- caller_ids_left: how many calls a pool can still give a number to on a trunk; null: any, as without a pool. With none
-- left, when the first comes back by time alone: the oldest dial of a full number leaves its 24 hours, or a rest ends.
create or replace function pgdial.caller_ids_left(
    p_pool text, p_trunk text, p_now timestamptz, out room int, out opens_at timestamptz
)
language plpgsql stable
as $$
begin
    if p_pool is null then
        return;
    end if;
    if exists (select from pgdial.caller_ids k
               where k.pool = p_pool and k.trunk = p_trunk and k.daily_cap is null and not k.paused
                 and coalesce(k.rest_until <= p_now, true)) then
        return;
    end if;
    room := (select coalesce(sum(u.room), 0) from pgdial.usable_caller_ids(array[p_pool], array[p_trunk], p_now) u);
    if room = 0 then
        select min(greatest(k.rest_until, case when k.daily_cap is not null then
                       coalesce(f.at + '24 hours'::interval, p_now + '5 seconds'::interval) end)) into opens_at
        from pgdial.caller_ids k
             left join lateral (
                 select d.at from pgdial.dials d
                 where d.from_number = k.number and d.at > p_now - '24 hours'::interval
                 order by d.at desc offset k.daily_cap - 1 limit 1) f on k.daily_cap is not null
        where k.pool = p_pool and k.trunk = p_trunk and not k.paused;
    end if;
end $$;

-- caller_ids_for: what each of these calls is dialled from, in their order: null = the trunk's own number; '' =
-- its pool has none left, so it must wait. Null, if nobody needs a choice.
create or replace function pgdial.caller_ids_for(p_picked pgdial.picked[], p_now timestamptz) returns text[]
language plpgsql stable
as $$
declare
    v_usable pgdial.usable_caller_id[];
    v_chosen text[] := '{}';
    v_call record;
    v_at int;
begin
    if not exists (select from unnest(p_picked) p join pgdial.campaigns g on g.name = p.campaign
                   where g.caller_ids is not null) then
        return null;
    end if;
    v_usable := (
        select array_agg(u)
        from (select array_agg(g.caller_ids) as pools, array_agg(p.trunk) as trunks
              from unnest(p_picked) p join pgdial.campaigns g on g.name = p.campaign) w
             cross join lateral pgdial.usable_caller_ids(w.pools, w.trunks, p_now) u);
    for v_call in
        select p.phone, p.trunk, g.caller_ids as pool, c.from_number as own
        from unnest(p_picked) with ordinality p (id, phone, campaign, trunk, numbers, n)
             join pgdial.campaigns g on g.name = p.campaign join pgdial.calls c on c.id = p.id
        order by p.n
    loop
        if v_call.own is null and v_call.pool is not null then
            v_at := pgdial.choose_caller_id(v_usable, v_call.pool, v_call.trunk, v_call.phone);
            v_chosen := v_chosen || coalesce(v_usable[v_at].number, '');
        else
            v_at := (select u.n from unnest(v_usable) with ordinality u (number, pool, trunk, room, used, n)
                     where u.number = v_call.own);
            v_chosen := v_chosen || v_call.own;
        end if;
        if v_at is not null then
            -- The dials of this claim are not in `dials` yet.
            v_usable[v_at].room := v_usable[v_at].room - 1;
            v_usable[v_at].used := v_usable[v_at].used + 1;
        end if;
    end loop;
    return v_chosen;
end $$;

-- choose_caller_id: the position of the best number for this callee; null: none is left.
create or replace function pgdial.choose_caller_id(
    p_usable pgdial.usable_caller_id[], p_pool text, p_trunk text, p_phone text
) returns int
language plpgsql stable
as $$
declare
    v_left constant text[] := array(
        select u.number from unnest(p_usable) u where u.pool = p_pool and u.trunk = p_trunk and u.room > 0);
    -- The length of the longest shared prefix is between these, exclusive.
    v_shared int := 0;
    v_not int := length(p_phone) + 1;
    v_middle int;
    v_same constant text := (
        select d.from_number from pgdial.dials d
        where d.phone = p_phone and d.from_number = any (v_left) order by d.at desc limit 1);
begin
    if v_same is null then
        while v_not - v_shared > 1 loop
            v_middle := (v_shared + v_not) / 2;
            if exists (select from unnest(v_left) l (number) where starts_with(l.number, left(p_phone, v_middle))) then
                v_shared := v_middle;
            else
                v_not := v_middle;
            end if;
        end loop;
    end if;
    return (
        select u.n from unnest(p_usable) with ordinality u (number, pool, trunk, room, used, n)
        where u.pool = p_pool and u.trunk = p_trunk and u.room > 0
          and case when v_same is not null then u.number = v_same else starts_with(u.number, left(p_phone, v_shared)) end
        order by u.used, u.n limit 1);
end $$;

-- guard_caller_id: a number of a pool that the provider refuses for several callees in a row pauses itself, with
-- the provider's words: the pool goes on without it. It does not wait: if a person holds the row, the next refusal
-- pauses it.
create or replace function pgdial.guard_caller_id(p_number text, p_trunk text, p_why text, p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_run constant pgdial.answers[] := array(
        select a from pgdial.answers a
        where a.trunk = p_trunk and a.caller_id = p_number and a.concerns = 'caller_id'
          and a.at > greatest(p_now - '1 hour'::interval,
                              (select k.resumed_at from pgdial.caller_ids k where k.number = p_number))
          and a.seq > coalesce((select max(o.seq) from pgdial.answers o
                                where o.trunk = p_trunk and o.caller_id = p_number and o.kind = 'accepted'), 0)
        order by a.seq);
    v_calls constant uuid[] := array(select r.call_id from unnest(v_run) r order by r.seq);
    v_before text;
begin
    if (select count(distinct r.number) from unnest(v_run) r) < 3 then
        return;
    end if;
    v_before := pgdial.act_about(v_calls);
    update pgdial.caller_ids k
    set paused = true, paused_at = p_now, paused_by = 'pgdial',
        paused_why = 'the provider refuses to call from it: ' || p_why || pgdial.in_words(v_calls)
    where k.number = (select s.number from pgdial.caller_ids s
                      where s.number = p_number and s.trunk = p_trunk and not s.paused for no key update skip locked);
    perform set_config('pgdial.about', v_before, true);
end $$;
