-- lanes: for each campaign on these trunks, how many calls it may have claimed now, and if none, why, and when
-- it opens by time alone. It only reads. The claim uses room, `why` uses reasons: the rules exist only here.
-- p_trunks: null = all. p_now: read once by the caller, after the gate.
-- Reasons, in the order in which they must change: campaign_over, cluster_changed, trunk_paused, campaign_paused,
-- campaign_not_started, trunk_held, caller_ids_spent, breaker or provider_full, trunk_full, campaign_full, on_trial,
-- pacing.
-- A campaign is over as soon as a dial begun now could outlast its end.
-- On trial: none of its calls was accepted recently, so the number of its calls on their way to the provider is
-- limited to its guard minus those refused in a row, but at least one.
-- reasons has all that hold, reason and opens_at belong to the first; null: the lane is open.
create or replace function pgdial.lanes(p_trunks text[], p_now timestamptz) returns setof pgdial.lane
language sql stable
as $$
    select l.* from pgdial.lanes_of(array(select g.name from pgdial.campaigns g), p_trunks, pgdial.in_flight(), p_now) l
$$;

-- lanes_of: the same for these campaigns only: a claim asks only about those with work.
-- plpgsql, like everything that a claim calls: its plans stay with the session, while a language sql function
-- that cannot be inlined is planned anew at each call.
create or replace function pgdial.lanes_of(
    p_campaigns text[], p_trunks text[], p_in_flight pgdial.flying[], p_now timestamptz
) returns setof pgdial.lane
language plpgsql stable
as $$
#variable_conflict use_column
declare
    v_trouble constant boolean := exists (select from pgdial.answers);
begin
    return query
    with flying as materialized (
        -- By the stamped trunk, never by the campaign's present one: a campaign that moves leaves its live
        -- calls, and their slots, where they are.
        select f.trunk, f.campaign, sum(f.calls)::int as n, sum(f.dialing)::int as dialing
        from unnest(p_in_flight) f group by f.trunk, f.campaign
    ), cluster as materialized (
        select pgdial.cluster_changed() as why
    ), trunk as (
        select t.name, t.paused, t.slots - coalesce(f.n, 0) as free, least(p.allowed, b.allowed) as allowed,
               p.allowed as pace_allows, b.allowed as breaker_allows, b.reason as breaker_reason,
               case when t.held_until > p_now then t.held_until end as held_until,
               p.opens_at as pace_opens_at, b.opens_at as breaker_opens_at
        from pgdial.trunks t
             left join (select trunk, sum(n)::int as n from flying group by trunk) f on f.trunk = t.name
             left join lateral pgdial.pace(t, p_now) p on true
             left join lateral pgdial.breaker(t.name, p_now) b on true
        where p_trunks is null or t.name = any (p_trunks)
    ), lane as materialized (     -- materialized: reasons are found once
        select g.name as campaign, g.trunk, g.weight, coalesce(f.n, 0) as in_flight,
               g.starts_at, v.next_step, v.cap - coalesce(f.n, 0) as cap_room, r.trial_room, i.room as caller_ids_room, i.opens_at as caller_ids_open_at, t.free, t.allowed, t.held_until, t.pace_opens_at, t.breaker_opens_at,
               -- A single array, because the claim reads this for each campaign with work.
               nullif(array_remove(array[
                    case when g.ends_at is not null and g.ends_at <= p_now + pgdial.longest_lease(g.trunk) then 'campaign_over' end,
                    case when (select k.why from cluster k) is not null then 'cluster_changed' end,
                    case when t.paused then 'trunk_paused' end,
                    case when g.paused then 'campaign_paused' end,
                    case when g.starts_at > p_now then 'campaign_not_started' end,
                    case when t.held_until is not null then 'trunk_held' end,
                    case when i.room <= 0 then 'caller_ids_spent' end,
                    case when t.breaker_allows = 0 then t.breaker_reason end,
                    case when t.free <= 0 then 'trunk_full' end,
                    case when v.cap - coalesce(f.n, 0) <= 0 then 'campaign_full' end,
                    case when r.trial_room <= 0 then 'on_trial' end,
                    case when t.pace_allows <= 0 then 'pacing' end], null), '{}') as reasons
        from unnest(p_campaigns) w (name)
             join pgdial.campaigns g on g.name = w.name
             join trunk t on t.name = g.trunk
             left join (select campaign, sum(n)::int as n, sum(dialing)::int as dialing from flying group by campaign) f
                 on f.campaign = g.name
             cross join lateral (select case when g.ramp_from is null then g.cap else pgdial.present_cap(g, p_now) end as cap,
                                        case when g.ramp_from is not null then pgdial.next_step(g, p_now) end as next_step) v
             left join pgdial.campaign_trust k on k.campaign = g.name
             left join lateral (
                 select case when v_trouble then cardinality(pgdial.run_of_campaign(
                     g.name, greatest(g.resumed_at, p_now - '1 hour'::interval))) else 0 end as refused) s on true
             left join lateral (
                 select case when s.refused >= 3 or not pgdial.is_trusted(k.accepted_at, g.resumed_at, p_now)
                             then greatest(1, g.guard - s.refused) - coalesce(f.dialing, 0) end as trial_room
                 where g.guard is not null) r on true
             left join lateral pgdial.caller_ids_left(g.caller_ids, g.trunk, p_now) i on true
    )
    select l.campaign, l.trunk, l.weight, l.in_flight,
           case when l.reasons is null then least(l.cap_room, l.trial_room, l.caller_ids_room, l.free, l.allowed) else 0 end,
           greatest(least(l.free, l.allowed), 0),
           l.reasons[1], case when l.reasons[1] = 'campaign_not_started' then l.starts_at
                              when l.reasons[1] = 'campaign_full' then l.next_step
                              when l.reasons[1] = 'trunk_held' then l.held_until
                              when l.reasons[1] = 'caller_ids_spent' then l.caller_ids_open_at
                              when l.reasons[1] = 'pacing' then l.pace_opens_at
                              when l.reasons[1] in ('breaker', 'provider_full') then l.breaker_opens_at end,
           l.reasons
    from lane l;
end $$;

-- pace: how many calls the token bucket of a trunk allows now; null if the trunk has no pace. A bucket holds a
-- tenth of a second of calls, at least one: a restart or an idle hour never turns into a burst.
create or replace function pgdial.pace(
    p_trunk pgdial.trunks, p_now timestamptz,
    out tokens double precision, out allowed int, out opens_at timestamptz
)
language plpgsql stable
as $$
begin
    if p_trunk.calls_per_second is null then
        return;
    end if;
    tokens := least(
        greatest(1, p_trunk.calls_per_second / 10)::double precision,
        -- A bucket with a future time (the clock went back) is ignored.
        coalesce((select case when b.as_of > p_now then 1
                              else b.tokens + extract(epoch from p_now - b.as_of)::double precision
                                              * p_trunk.calls_per_second::double precision end
                  from pgdial.trunk_pace b where b.trunk = p_trunk.name),
                 1));
    allowed := floor(tokens + 1e-6)::int;
    opens_at := p_now + greatest(0, 1 - tokens) / p_trunk.calls_per_second::double precision * '1 second'::interval
        + '1 millisecond'::interval;
end $$;

-- lock_pace: may the pace of this trunk be spent until the transaction ends? False while another session holds
-- its row: the trunk is then skipped, and no other trunk waits for it.
create or replace function pgdial.lock_pace(p_trunk text) returns boolean
language plpgsql volatile
as $$
begin
    perform from pgdial.trunk_pace b where b.trunk = p_trunk for no key update skip locked;
    return found or not exists (select from pgdial.trunk_pace b where b.trunk = p_trunk);
end $$;

-- spend_pace: deduct p_calls from the pace of a trunk. Behind the gate, after lock_pace.
create or replace function pgdial.spend_pace(p_trunk text, p_calls int, p_now timestamptz) returns void
language plpgsql volatile
-- Its first row may be another session's uncommitted insert: the gate waits no longer than this, and nothing is
-- deducted.
set lock_timeout = '100ms'
as $$
begin
    insert into pgdial.trunk_pace as b (trunk, tokens, as_of)
    select t.name, p.tokens - p_calls, p_now
    from pgdial.trunks t cross join lateral pgdial.pace(t, p_now) p
    where t.name = p_trunk and p.tokens is not null
    on conflict (trunk) do update set tokens = excluded.tokens, as_of = excluded.as_of;
exception when lock_not_available then
    null;
end $$;
