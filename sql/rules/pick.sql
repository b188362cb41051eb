-- choose: what a claim takes: calls unlike those that were refused; if these leave room, one call like those
-- (suspects), unless another of them is being dialled on its trunk. An open breaker is probed by a call that
-- has not probed it yet, as long as there is one.
-- p_most: the maximum per trunk, parallel to p_trunks; null = no limit.
create or replace function pgdial.choose(
    p_trunks text[], p_most int[], p_wanted int, p_heads pgdial.head[], p_in_flight pgdial.flying[],
    p_lease interval, p_now timestamptz
) returns pgdial.picked[]
language plpgsql volatile
as $$
declare
    v_suspects pgdial.suspect[] := '{}';
    v_tried uuid[] := '{}';
    v_found pgdial.picked[];
    v_rest text[];
begin
    if exists (select from pgdial.answers) then
        v_suspects := pgdial.suspects(p_now);
        v_tried := pgdial.tried(p_now);
    end if;
    v_found := array(select p from pgdial.pick(p_trunks, p_most, p_wanted, p_heads, p_in_flight, v_suspects, v_tried, p_lease, p_now) p);
    if cardinality(v_found) >= p_wanted or cardinality(v_suspects) + cardinality(v_tried) = 0 then
        return v_found;
    end if;
    v_rest := array(
        select t from unnest(p_trunks) with ordinality u (t, n)
        where coalesce(p_most[u.n] > (select count(*) from unnest(v_found) f where f.trunk = t), true)
          and t not in (select c.trunk from pgdial.calls c
                        where c.state = 'dialing' and c.trunk is not null and (c.campaign, c.script_id, coalesce(c.from_number, ''))
                              in (select s.campaign, s.script_id, s.from_number from unnest(v_suspects) s)));
    for v_pass in 1..2 loop
        exit when cardinality(v_rest) = 0;
        v_found := v_found || array(
            select p from pgdial.pick(v_rest, null, 1, p_heads, p_in_flight || array(
                select row(f.trunk, f.campaign, 1, 1, 0, pgdial.numbers_of(array[f]), null)::pgdial.flying from unnest(v_found) f),
                '{}', case v_pass when 1 then v_tried else '{}'::uuid[] end, p_lease, p_now) p);
        exit when cardinality(v_found) > 0;
    end loop;
    return v_found;
end $$;

-- pick: choose and lock due calls, in fair turns. It writes only hints for the next claims.
-- p_avoid: calls like these are left out; p_tried: these very calls are left out too.
-- A lane that has no more to give (nothing due, its numbers taken, its rows locked) leaves, and its share goes to
-- the others. At most three rounds in which no lane leaves: a number that many waiting calls share
-- yields one call, and each number found joins the taken ones.
-- p_most: the maximum per trunk, parallel to p_trunks; null = no limit.
create or replace function pgdial.pick(
    p_trunks text[], p_most int[], p_wanted int, p_heads pgdial.head[], p_in_flight pgdial.flying[],
    p_avoid pgdial.suspect[], p_tried uuid[], p_lease interval, p_now timestamptz
) returns setof pgdial.picked
language plpgsql volatile
as $$
declare
    v_heads constant pgdial.head[] := array(
        select h from unnest(p_heads) h
        where h.run_at <= p_now and h.campaign not in (select s.campaign from unnest(pgdial.shut(p_now)) s));
    -- Numbers in flight or held, collected once: a probe per row would be ruinous behind 100,000 waiting twins
    -- of one taken number. A person's other numbers are taken with the one that rings.
    v_taken text[] := array(
        select n from unnest(p_in_flight) f cross join unnest(f.phones) n
        union all
        select n from pgdial.calls c cross join unnest(c.numbers) n
        where c.state in ('dialing', 'unresolved', 'in_call')
          and c.claim_seq >= (select min(f.claim_seq) from unnest(p_in_flight) f where f.listed > 0)
        union all
        select n from pgdial.calls c cross join unnest(coalesce(c.numbers, array[c.phone])) n where c.hold_until > p_now);
    v_lanes pgdial.lane[] := array(
        select l from pgdial.lanes_of(array(select distinct h.campaign from unnest(v_heads) h), p_trunks, p_in_flight, p_now) l
        where l.room > 0
          -- lanes knows only the lease that an adapter of the trunk declared last.
          and (select g.ends_at from pgdial.campaigns g where g.name = l.campaign and g.ends_at <= p_now + p_lease) is null);
    v_skips constant pgdial.skip[] := pgdial.skips(p_now);
    v_unclaimable constant uuid[] := p_tried || array(select o.call_id from pgdial.unclaimable o where o.until > p_now);
    v_found pgdial.picked[] := '{}';
    v_batch record;
    v_dry text[];
    v_hours record;
    v_judged record;                -- whose open areas these are: most campaigns share their hours
    v_open int[];
    v_turn record;
    v_before int;
    v_rounds int := 0;
begin
    if p_most is not null then
        for v_lane in 1 .. cardinality(v_lanes) loop
            v_lanes[v_lane].trunk_room := least(
                v_lanes[v_lane].trunk_room, p_most[array_position(p_trunks, v_lanes[v_lane].trunk)]);
        end loop;
    end if;
    loop
        v_before := cardinality(v_found);
        exit when v_before >= p_wanted or v_rounds >= 3 or cardinality(v_lanes) = 0;
        v_dry := '{}';
        for v_turn in select t.campaign, t.trunk, t.quota from pgdial.turns(v_lanes, v_found, p_wanted - v_before) t loop
            select g.calling_hours as name, g.zone_basis as basis into v_hours from pgdial.campaigns g where g.name = v_turn.campaign;
            if v_hours.name is null then
                v_open := null;
            elsif v_open is null or v_hours is distinct from v_judged then
                v_open := pgdial.areas_open(v_hours.name, v_hours.basis, p_now, p_lease);
                v_judged := v_hours;
            end if;
            v_batch := pgdial.pick_from(v_turn.campaign, v_turn.trunk, v_turn.quota, v_heads, v_skips, v_taken, v_unclaimable,
                p_avoid, v_open, p_now);
            if v_batch.is_dry then
                v_dry := v_dry || v_turn.campaign;
            end if;
            if cardinality(v_batch.picked) > 0 then
                v_taken := v_taken || pgdial.numbers_of(v_batch.picked);
                v_found := v_found || v_batch.picked;
            end if;
        end loop;
        exit when cardinality(v_found) = v_before and cardinality(v_dry) = 0;   -- no room in any lane
        v_lanes := array(select l from unnest(v_lanes) l where l.campaign <> all (v_dry));
        v_rounds := v_rounds + (cardinality(v_dry) = 0)::int;
    end loop;
    return query select f.* from unnest(v_found) f;
end $$;

-- turns: how many calls each lane may give in this round. Each next call goes to the lane with the least in
-- flight for its weight, ties by an exponential draw (-ln(random())/weight), so that even a single slot is
-- shared by weight over time.
create or replace function pgdial.turns(p_lanes pgdial.lane[], p_found pgdial.picked[], p_wanted int)
returns table (campaign text, trunk text, quota int)
language plpgsql volatile
as $$
#variable_conflict use_column
begin
    if cardinality(p_lanes) = 1 then    -- the common case, or the last lane left: nothing to share
        return query
            select l.campaign, l.trunk, least(l.room - n.of_campaign, l.trunk_room - n.of_trunk, p_wanted)
            from unnest(p_lanes) l,
                 lateral (select count(*) filter (where f.campaign = l.campaign)::int as of_campaign,
                                 count(*) filter (where f.trunk = l.trunk)::int as of_trunk
                          from unnest(p_found) f) n
            where l.room > n.of_campaign and l.trunk_room > n.of_trunk;
        return;
    end if;
    return query
    with lane as (
        select l.campaign, l.trunk, l.weight, l.in_flight + coalesce(c.n, 0) as busy,
               l.room - coalesce(c.n, 0) as room, l.trunk_room - coalesce(t.n, 0) as trunk_room
        from unnest(p_lanes) l
             left join (select f.campaign, count(*)::int n from unnest(p_found) f group by 1) c using (campaign)
             left join (select f.trunk, count(*)::int n from unnest(p_found) f group by 1) t on t.trunk = l.trunk
    ), turn as (
        select l.campaign, l.trunk, l.trunk_room,
               (l.busy + k) / l.weight::double precision as load, -ln(1 - random()) / l.weight as draw
        from lane l, generate_series(0, least(l.room, l.trunk_room, p_wanted) - 1) k
    ), fair as (
        select r.campaign, r.trunk, r.load, r.draw
        from (select t.*, row_number() over (partition by t.trunk order by t.load, t.draw) as nth from turn t) r
        where r.nth <= r.trunk_room
        order by r.load, r.draw limit p_wanted
    )
    select f.campaign, f.trunk, count(*)::int
    from fair f group by f.campaign, f.trunk order by min(f.load), min(f.draw);
end $$;

-- pick_from: up to p_quota due calls of one campaign, one per number, locked.
-- Priority by priority, so that run_at stays an index bound: calls scheduled for later are never walked. With
-- calling hours, also area by area, the one with the oldest call first; only those that are open.
-- p_open: the open areas; null = it has no hours.
-- is_dry: it has no more to give.
create or replace function pgdial.pick_from(
    p_campaign text, p_trunk text, p_quota int, p_heads pgdial.head[], p_skips pgdial.skip[], p_taken text[],
    p_unclaimable uuid[], p_avoid pgdial.suspect[], p_open int[], p_now timestamptz,
    out picked pgdial.picked[], out is_dry boolean
)
language plpgsql volatile
as $$
declare
    v_started constant timestamptz := clock_timestamp();    -- real time, not pgdial.now(): it measures work
    v_head pgdial.head;
    v_areas pgdial.area_head[];
    v_area pgdial.area_head;
    v_saw boolean := false;         -- a due call in an open area
    v_more boolean;                 -- of this priority, beyond the last batch
    v_batch record;
begin
    picked := '{}';
    is_dry := p_open is null;       -- area_heads leaves some out
    for v_head in select h.* from unnest(p_heads) h where h.campaign = p_campaign order by h.priority desc loop
        if p_open is null then
            v_areas := array[row(null, v_head.run_at)::pgdial.area_head];
        else
            v_areas := pgdial.area_heads(p_campaign, v_head.priority, p_open, p_quota, p_now);
        end if;
        v_saw := v_saw or cardinality(v_areas) > 0;
        v_more := false;
        foreach v_area in array v_areas loop
            v_batch := pgdial.pick_within(
                p_campaign, p_trunk, p_quota - cardinality(picked), v_head.priority, v_area, p_skips,
                case when picked = '{}' then p_taken else p_taken || pgdial.numbers_of(picked) end, p_unclaimable, p_avoid, p_now);
            picked := picked || v_batch.picked;
            v_more := v_more or not v_batch.is_dry or p_open is not null and cardinality(v_batch.picked) > 0;
            exit when cardinality(picked) >= p_quota;
        end loop;
        -- Not exhausted: a lower priority does not overtake it.
        exit when v_more or cardinality(picked) >= p_quota;
    end loop;
    is_dry := is_dry and not v_more or cardinality(picked) = 0;
    if not v_saw then
        perform pgdial.shut_out(p_campaign, clock_timestamp() - v_started, p_now);
    end if;
end $$;

-- pick_within: the same for one priority, and for one area or all of them (null).
-- Candidates come from the index alone, in its order, and each is locked as it comes, so that locked rows are
-- passed over rather than chosen and then missed. Twins shorten a batch, so it looks up to three times. It scans
-- only part of a crowd that cannot be claimed, or is left out, and remembers how far it came (skips).
-- is_dry: it came to the end, or to that of its walk.
create or replace function pgdial.pick_within(
    p_campaign text, p_trunk text, p_quota int, p_priority smallint, p_from pgdial.area_head, p_skips pgdial.skip[],
    p_taken text[], p_unclaimable uuid[], p_avoid pgdial.suspect[], p_now timestamptz,
    out picked pgdial.picked[], out is_dry boolean
)
language plpgsql volatile
as $$
declare
    c_walk constant int := 2000;    -- maximum candidates per queue and claim
    v_skip pgdial.skip;
    v_more pgdial.picked[] := '{}';
    v_kept pgdial.picked[];
    v_taken text[] := p_taken;
begin
    picked := '{}';
    select s.* into v_skip from unnest(p_skips) s
    where s.campaign = p_campaign and s.priority = p_priority and s.area is not distinct from p_from.area;
    if not found then
        v_skip := row(p_campaign, p_priority, p_from.area, p_from.run_at, '00000000-0000-0000-0000-000000000000'::uuid, p_now, p_now);
    end if;
    for v_look in 1..3 loop
        with due as materialized (
            select k.id, k.phone, k.run_at, l.numbers
            from pgdial.queue(p_campaign, p_priority, p_from.area, v_skip.run_at, v_skip.id, v_taken, p_unclaimable, c_walk, p_now) k
                 cross join lateral (
                     select c.id, c.numbers from pgdial.calls c
                     -- Repeated: the row may have changed since the candidate was read.
                     where c.id = k.id and c.state::text = 'waiting'
                       and c.campaign = p_campaign and c.run_at <= p_now and (p_from.area is null or c.area = p_from.area)
                       and (c.expires_at is null or c.expires_at > p_now)
                       and (c.numbers is null or not exists (
                            select from unnest(c.numbers) n where n in (select t from unnest(v_taken) t)))
                       -- Not "not exists": as an anti join it would read the whole list.
                       and (select d.phone from pgdial.do_not_call d
                            where d.phone = k.phone and pgdial.covers(d, p_campaign, p_now) limit 1) is null
                       -- consent_problem, asking once whether the campaign requires it.
                       and (c.consent_at is not null and coalesce(c.consent_expires_at > p_now, true)
                            or (select g.require_consent from pgdial.campaigns g where g.name = p_campaign) is not true)
                       and (cardinality(p_avoid) = 0 or (c.campaign, c.script_id, coalesce(c.from_number, ''))
                            not in (select s.campaign, s.script_id, s.from_number from unnest(p_avoid) s))
                     for update skip locked) l
            limit p_quota - cardinality(picked)
        ), one_per_number as (
            select distinct on (due.phone) due.id, due.phone, due.run_at, due.numbers from due
            order by due.phone, due.run_at, due.id
        )
        select coalesce(array_agg(row(o.id, o.phone, p_campaign, p_trunk, o.numbers)::pgdial.picked order by o.run_at, o.id), '{}'),
               (select count(*) from due) < p_quota - cardinality(picked)
        into v_more, is_dry
        from one_per_number o;
        v_kept := pgdial.one_per_person(v_more);
        is_dry := is_dry and cardinality(v_kept) = cardinality(v_more);    -- a twin of one that is left out may be free
        v_more := v_kept;
        picked := picked || v_more;
        exit when is_dry or cardinality(picked) >= p_quota;
        v_taken := v_taken || pgdial.numbers_of(v_more);
    end loop;
    if cardinality(picked) = 0 then
        select q.run_at, q.id into v_skip.run_at, v_skip.id
        from pgdial.queue(p_campaign, p_priority, p_from.area, v_skip.run_at, v_skip.id, v_taken, p_unclaimable, c_walk, p_now) q
        offset c_walk - 1 limit 1;
        if found then
            v_skip.seen_at := p_now;
            perform pgdial.skip_past(v_skip);
        end if;
    end if;
end $$;

-- one_per_person: of calls whose lists share a number, only the first. No two of them have the same number to ring.
create or replace function pgdial.one_per_person(p_picked pgdial.picked[]) returns pgdial.picked[]
language plpgsql immutable
as $$
declare
    v_one pgdial.picked;
    v_taken text[] := '{}';
    v_kept pgdial.picked[] := '{}';
begin
    if not exists (select from unnest(p_picked) p where p.numbers is not null) then
        return p_picked;
    end if;
    foreach v_one in array p_picked loop
        if not coalesce(v_one.numbers, array[v_one.phone]) && v_taken then
            v_kept := v_kept || v_one;
            v_taken := v_taken || pgdial.numbers_of(array[v_one]);
        end if;
    end loop;
    return v_kept;
end $$;

-- numbers_of: the numbers that these calls take.
create or replace function pgdial.numbers_of(p_picked pgdial.picked[]) returns text[]
language plpgsql immutable
as $$
begin
    return array(select p.phone from unnest(p_picked) p union all select n from unnest(p_picked) p, unnest(p.numbers) n);
end $$;

-- queue: the due calls of a campaign and priority behind a place, of one area or of all (null), in order; p_most at
-- most. Inlined where it is used, so that no more are read than are used; the area says which of its two halves is
-- read, each by an index of its own.
-- Index: calls_claimable, calls_claimable_by_area.
create or replace function pgdial.queue(
    p_campaign text, p_priority smallint, p_area int, p_run_at timestamptz, p_id uuid, p_taken text[], p_unclaimable uuid[],
    p_most int, p_now timestamptz
) returns table (id uuid, phone text, run_at timestamptz)
language sql stable
as $$
    (select c.id, c.phone, c.run_at from pgdial.calls c
     where p_area is null and c.state = 'waiting' and c.campaign = p_campaign and c.priority = p_priority
       and c.run_at <= p_now and (c.run_at, c.id) > (p_run_at, p_id)
       -- "in (select ...)" is hashed, an array that is a parameter is not.
       and c.phone not in (select t from unnest(p_taken) t) and c.id not in (select u from unnest(p_unclaimable) u)
     order by c.run_at, c.id limit p_most)
    union all
    (select c.id, c.phone, c.run_at from pgdial.calls c
     where c.state = 'waiting' and c.campaign = p_campaign and c.priority = p_priority and c.area = p_area
       and c.run_at <= p_now and (c.run_at, c.id) > (p_run_at, p_id)
       and c.phone not in (select t from unnest(p_taken) t) and c.id not in (select u from unnest(p_unclaimable) u)
     order by c.run_at, c.id limit p_most)
$$;
