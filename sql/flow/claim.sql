-- claim: waiting -> dialing, for at most p_wanted calls on the trunks that this worker can dial.
-- Answers verdict (claimed, none, gate_timeout), wait_ms (until time alone can open the
-- way; null = it cannot) and calls (a JSON array of what a dial needs).
-- P1, P3: one claimer at a time, behind the gate, makes the cap, the pace and one call
-- per number exact, without counters that drift and without unique violations that
-- would fail a whole batch. The gate is held for this one call, never across a round trip.
-- Races: settles and webhooks only ever free slots and numbers; a person's open
-- transaction is passed over (skip locked); everything else comes through the gate.
-- Index: calls_claimable.
create or replace function pgdial.claim(
    p_worker uuid, p_trunks text[], p_wanted int,
    out verdict text, out wait_ms bigint, out calls jsonb
)
language plpgsql volatile
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
as $$
declare
    v_now timestamptz;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        -- In repeatable read the snapshot is older than the gate: two claims would each see the free slots.
        raise exception 'pgdial.claim needs read committed, this transaction is %',
            current_setting('transaction_isolation') using errcode = 'invalid_transaction_state';
    end if;
    calls := '[]';
    if not pgdial.gate() then
        verdict := 'gate_timeout';
        return;
    end if;
    v_now := pgdial.now();   -- after the gate: waiting there must not eat the lease
    calls := pgdial.stamp(p_worker, array(select p from pgdial.pick(p_trunks, p_wanted, v_now) p), v_now);
    verdict := case when jsonb_array_length(calls) > 0 then 'claimed' else 'none' end;
    if jsonb_array_length(calls) < p_wanted then
        wait_ms := ceil(extract(epoch from pgdial.next_due(p_trunks, v_now) - v_now) * 1000);
    end if;
end $$;

-- gate: one claimer at a time, until the transaction ends. False after 2 s of waiting.
-- A statement of its own in the claim, so that the snapshots after it are younger than it.
create or replace function pgdial.gate() returns boolean
language plpgsql volatile
set lock_timeout = '2s'
as $$
begin
    -- 0x70676469 is "pgdi": a class of our own among the advisory locks of this database.
    perform pg_advisory_xact_lock(x'70676469'::int, 1);
    return true;
exception when lock_not_available then
    return false;
end $$;

-- pick: choose and lock due calls, in fair turns. It writes nothing.
-- A lane that gave nothing in its turn (nothing due, its numbers taken, its rows held)
-- leaves, and its share goes to the others. Three rounds at most in which no lane leaves:
-- a number that many waiting calls share yields one call, and each number found joins
-- the taken ones.
create or replace function pgdial.pick(p_trunks text[], p_wanted int, p_now timestamptz) returns setof pgdial.picked
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    -- Numbers in flight or held, built once: a probe per row dies behind 100,000
    -- waiting twins of one taken number.
    v_taken text[] := array(
        select c.phone from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call')
        union all
        select c.phone from pgdial.calls c where c.hold_until > p_now);
    v_lanes pgdial.lane[] := array(
        select l from pgdial.lanes(p_trunks, p_now) l
        where l.room > 0 and l.campaign in (select w.campaign from pgdial.waiting_campaigns() w));
    v_found pgdial.picked[] := '{}';
    v_batch pgdial.picked[];
    v_dry text[];
    v_turn record;
    v_before int;
    v_rounds int := 0;
begin
    loop
        v_before := cardinality(v_found);
        exit when v_before >= p_wanted or v_rounds >= 3 or cardinality(v_lanes) = 0;
        v_dry := '{}';
        for v_turn in select t.campaign, t.trunk, t.quota from pgdial.turns(v_lanes, v_found, p_wanted - v_before) t loop
            v_batch := pgdial.pick_from(v_turn.campaign, v_turn.trunk, v_turn.quota, v_taken, p_now);
            v_taken := v_taken || array(select b.phone from unnest(v_batch) b);
            v_found := v_found || v_batch;
            if cardinality(v_batch) = 0 then
                v_dry := v_dry || v_turn.campaign;
            end if;
        end loop;
        exit when cardinality(v_found) = v_before and cardinality(v_dry) = 0;   -- no room in any lane
        v_lanes := array(select l from unnest(v_lanes) l where l.campaign <> all (v_dry));
        v_rounds := v_rounds + (cardinality(v_dry) = 0)::int;
    end loop;
    return query select f.* from unnest(v_found) f;
end $$;

-- turns: how many calls each lane may give in this round. Each next call goes to the
-- lane with the least in flight for its weight, ties by an exponential draw
-- (-ln(random())/weight), so that even a single slot is shared by weight over time.
create or replace function pgdial.turns(p_lanes pgdial.lane[], p_found pgdial.picked[], p_wanted int)
returns table (campaign text, trunk text, quota int)
language sql volatile
as $$
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
    from fair f group by f.campaign, f.trunk order by min(f.load), min(f.draw)
$$;

-- waiting_campaigns: campaigns with a waiting call, by jumping along the index, so
-- that a campaign with 500,000 waiting calls costs one probe.
create or replace function pgdial.waiting_campaigns() returns table (campaign text)
language sql stable
as $$
    with recursive w as (
        (select c.campaign from pgdial.calls c where c.state = 'waiting' order by c.campaign limit 1)
        union all
        select (select c.campaign from pgdial.calls c
                where c.state = 'waiting' and c.campaign > w.campaign order by c.campaign limit 1)
        from w where w.campaign is not null
    )
    select w.campaign from w where w.campaign is not null
$$;

-- pick_from: up to p_quota due calls of one campaign, one per number, locked.
-- Priority by priority, so that run_at stays a bound of the index: calls scheduled for
-- later are never walked. The lock is taken inside the scan, so that rows held by a
-- person are passed over instead of being chosen and then missed. Twins shorten a look,
-- so it looks up to three times; a priority that is not exhausted then is not overtaken
-- by a lower one.
create or replace function pgdial.pick_from(
    p_campaign text, p_trunk text, p_quota int, p_taken text[], p_now timestamptz
) returns pgdial.picked[]
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_priority smallint := 10;
    v_found pgdial.picked[] := '{}';
    v_more pgdial.picked[] := '{}';
    v_taken text[] := p_taken;
begin
    while cardinality(v_found) < p_quota loop
        select c.priority into v_priority from pgdial.calls c
        where c.state = 'waiting' and c.campaign = p_campaign and c.priority < v_priority
        order by c.priority desc limit 1;
        exit when not found;

        for v_look in 1..3 loop
            v_more := array(
                with due as (
                    select c.id, c.phone, c.run_at from pgdial.calls c
                    where c.state = 'waiting' and c.campaign = p_campaign and c.priority = v_priority
                      and c.run_at <= p_now
                      and c.phone <> all (v_taken)      -- a plain variable: only a constant is hashed
                      and (c.expires_at is null or c.expires_at > p_now)
                      -- Not "not exists": as an anti join it would read every due row and the whole list.
                      and (select d.phone from pgdial.do_not_call d where d.phone = c.phone) is null
                    order by c.run_at, c.id limit p_quota - cardinality(v_found)
                    for update of c skip locked
                ), one_per_number as (
                    select distinct on (due.phone) due.id, due.phone, due.run_at from due
                    order by due.phone, due.run_at, due.id
                )
                select row(o.id, o.phone, p_campaign, p_trunk)::pgdial.picked from one_per_number o order by o.run_at, o.id);
            v_found := v_found || v_more;
            v_taken := v_taken || array(select m.phone from unnest(v_more) m);
            exit when cardinality(v_more) = 0 or cardinality(v_found) >= p_quota;
        end loop;
        exit when cardinality(v_more) > 0;
    end loop;
    return v_found;
end $$;

-- stamp: make the picked rows this worker's. From here on each of them is a slot and
-- a taken number. If one row cannot be stamped (a constraint, an index), the others
-- still are: one by one, and the offender comes back in 30 s with an event.
create or replace function pgdial.stamp(p_worker uuid, p_picked pgdial.picked[], p_now timestamptz) returns jsonb
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_one pgdial.picked;
    v_calls jsonb := '[]';
begin
    if cardinality(p_picked) = 0 then
        return v_calls;
    end if;
    begin
        v_calls := pgdial.stamp_all(p_worker, p_picked, p_now);
    exception when integrity_constraint_violation or raise_exception or lock_not_available then
        foreach v_one in array p_picked loop
            begin
                v_calls := v_calls || pgdial.stamp_all(p_worker, array[v_one], p_now);
            exception when integrity_constraint_violation or raise_exception or lock_not_available then
                perform pgdial.pass_over(v_one.id, p_now);
                insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
                select p_now, c.id, c.claim_no, c.attempt, 'skipped',
                       jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate)
                from pgdial.calls c where c.id = v_one.id;
            end;
        end loop;
    end;

    insert into pgdial.trunk_pace as b (trunk, tokens, as_of)
    select t.name, p.tokens - n.n, p_now
    from (select c ->> 'trunk' as trunk, count(*) as n from jsonb_array_elements(v_calls) c group by 1) n
         join pgdial.trunks t on t.name = n.trunk
         join lateral pgdial.pace(t, p_now) p on p.tokens is not null
    on conflict (trunk) do update set tokens = excluded.tokens, as_of = excluded.as_of;
    return v_calls;
end $$;

-- pass_over: a row that cannot be stamped comes back in 30 s. One that cannot be written
-- at all (a constraint that it breaks already) stays where it is, and stops nobody.
create or replace function pgdial.pass_over(p_id uuid, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    update pgdial.calls c set run_at = p_now + '30 seconds' where c.id = p_id;
exception when integrity_constraint_violation or raise_exception or lock_not_available then
    raise warning 'pgdial: call % can be neither claimed nor put off: %', p_id, sqlerrm;
end $$;

-- stamp_all: one statement for the rows, their events and the answer.
create or replace function pgdial.stamp_all(p_worker uuid, p_picked pgdial.picked[], p_now timestamptz) returns jsonb
language sql volatile
as $$
    with claimed as (
        update pgdial.calls c
        set state = 'dialing', claim_no = c.claim_no + 1, attempt = c.attempt + 1,
            claimed_at = p_now, claimed_by = p_worker, lease_until = p_now + '60 seconds',
            deadline_at = p_now + g.ring_timeout + g.max_duration + '2 minutes',
            trunk = p.trunk, started_at = coalesce(c.started_at, p_now), hold_until = null
        from unnest(p_picked) p join pgdial.campaigns g on g.name = p.campaign
        where c.id = p.id and c.state::text = 'waiting'
        returning c.*, g.ring_timeout, g.max_duration
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, c.id, c.claim_no, c.attempt, 'active',
               jsonb_build_object('trunk', c.trunk, 'worker', p_worker, 'run_at', c.run_at)
        from claimed c
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'id', c.id, 'claim_no', c.claim_no, 'attempt', c.attempt, 'phone', c.phone,
        'from_number', c.from_number, 'script_id', c.script_id, 'metadata', c.metadata,
        'trunk', c.trunk, 'campaign', c.campaign, 'lease_until', c.lease_until,
        'ring_timeout_sec', extract(epoch from c.ring_timeout)::int,
        'max_duration_sec', extract(epoch from c.max_duration)::int)
        order by c.priority desc, c.run_at, c.id), '[]')
    from claimed c
$$;

-- next_due: the next moment at which time alone can open the way to a call that waits:
-- a run_at in an open lane, the pace of a lane with work, the end of a hold; in 1 s
-- where due rows were passed over because somebody holds them. Null: nothing but an
-- event can.
create or replace function pgdial.next_due(p_trunks text[], p_now timestamptz) returns timestamptz
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
    v_lanes pgdial.lane[] := array(
        select l from pgdial.lanes(p_trunks, p_now) l
        where (l.reason is null or l.reason = 'pacing')
          and l.campaign in (select w.campaign from pgdial.waiting_campaigns() w));
    v_at timestamptz;
begin
    select min(t.at) into v_at from (
        select case when l.reason = 'pacing' then l.opens_at else n.run_at end
        from unnest(v_lanes) l
             cross join generate_series(0, 9) p
             left join lateral (
                 select c.run_at from pgdial.calls c
                 where c.state = 'waiting' and c.campaign = l.campaign and c.priority = p::smallint
                   and c.run_at > p_now order by c.run_at limit 1) n on true
        union all
        (select c.hold_until from pgdial.calls c where c.hold_until > p_now order by c.hold_until limit 1)
    ) t (at);
    if exists (
        select from unnest(v_lanes) l
        where l.reason is null
          and cardinality(pgdial.passed_over(l.campaign, p_now)) > 0) then
        v_at := least(v_at, p_now + '1 second');
    end if;
    return v_at;
end $$;

-- passed_over: is a due call of this campaign held by somebody's open transaction?
-- (Those that can be locked are waiting for their number; a settle wakes them.)
create or replace function pgdial.passed_over(p_campaign text, p_now timestamptz) returns uuid[]
language sql volatile
as $$
    with head as (
        select c.id from pgdial.calls c
        where c.state = 'waiting' and c.campaign = p_campaign and c.run_at <= p_now
        order by c.priority desc, c.run_at, c.id limit 20
    )
    select array(select h.id from head h
                 where not exists (select from pgdial.calls c where c.id = h.id for update skip locked))
$$;
