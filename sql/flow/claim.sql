-- claim: waiting -> dialing, for at most p_wanted calls on the trunks that this worker can dial.
-- p_most: the maximum per trunk, parallel to p_trunks; null = no limit.
-- Returns a row per call, in the order in which they are picked, with what its dial needs; or one row without a
-- call. Each has a verdict (claimed, none, gate_timeout) and, when fewer than wanted were claimed, wait_ms: 0 = look
-- again; n = the time until a call can become due; null = only an event can change the result.
-- p_accounts: where each of these trunks dials (is_its_account); null = not stated.
-- p_leases: how many seconds a dial may take on each of them; null = 60. The worker dials no longer than that.
-- p_waits: for the gate, if another claimer holds it.
-- due_ms: how long the call was due before it was claimed. traceparent: the trace of the request that
-- enqueued it.
-- P1, P3: the gate admits one claimer at a time. That makes the cap, the pace and one call per number exact,
-- without counters that drift and without unique violations that would fail a whole batch. The gate is held
-- for this one statement, never across a round trip.
-- Races: settles and webhooks only ever free slots and numbers; rows locked by other transactions are skipped
-- (skip locked); everything else passes the gate.
-- Contact limits: what has been chosen is counted before it is stamped (sql/rules/limits.sql).
-- Index: calls_claimable, calls_claimable_by_area.
create or replace function pgdial.claim(
    p_worker uuid, p_trunks text[], p_wanted int, p_most int[] default null, p_accounts text[] default null,
    p_leases int[] default null, p_waits boolean default true
)
returns table (
    verdict text, wait_ms bigint, id uuid, claim_no bigint, attempt int, phone text, from_number text, script_id text,
    metadata jsonb, trunk text, campaign text, lease_until timestamptz, ring_timeout_sec int, max_duration_sec int,
    due_ms bigint, traceparent text, answering_machine text
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
-- One generic plan per session: planning costs more than claiming. Plans that would be wrong once the table
-- has grown are ruled out by the settings below.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_seq bigint;
    v_trunks text[];
    v_most int[];
    v_has_room boolean;
    v_is_paced boolean;
    v_in_flight pgdial.flying[];
    v_heads pgdial.head[];
    v_look_again_at timestamptz;
    v_picked pgdial.picked[];
    v_put_aside int := 0;
    v_claimed pgdial.claimed[] := '{}';
    -- The longest of these trunks: a dial within hours at both its ends is within them throughout.
    v_lease constant interval := coalesce((select max(l) from unnest(p_leases) l), 60) * '1 second'::interval;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        -- Under repeatable read the snapshot is older than the gate: two claims would each see the free
        -- slots.
        raise exception 'pgdial.claim needs read committed, this transaction is %',
            current_setting('transaction_isolation') using errcode = 'invalid_transaction_state';
    end if;
    verdict := 'none';
    if not (case when p_waits then pgdial.gate() else pgdial.gate_if_free() end) then
        verdict := 'gate_timeout';
        return next;
        return;
    end if;
    v_now := pgdial.now();   -- after the gate: waiting there must not eat the lease
    v_in_flight := pgdial.in_flight_from(pgdial.known_floor());
    select coalesce(array_agg(a.name order by a.n), '{}'), array_agg(p_most[a.n] order by a.n),
           -- A cheap first check, so that a worker without a free slot does not read the queue. lanes decides.
           bool_or(not t.paused and t.slots > coalesce((select sum(f.calls) from unnest(v_in_flight) f where f.trunk = t.name), 0)),
           bool_or(t.calls_per_second is not null)
    into v_trunks, v_most, v_has_room, v_is_paced
    from unnest(p_trunks) with ordinality a (name, n) left join pgdial.trunks t on t.name = a.name
    where t.calls_per_second is null or pgdial.lock_pace(t.name);
    if p_most is null then
        v_most := null;
    end if;
    if v_has_room then
        select h.heads, h.look_again_at into v_heads, v_look_again_at from pgdial.find_heads(v_now) h;
    end if;     -- otherwise only an event can change that, and events send a wake
    if cardinality(v_heads) > 0 then
        begin
            -- Locked and stamped in one subtransaction: locking a row in one and updating it in another
            -- creates a multixact, which costs more than the rest of the claim.
            select a.picked, a.put_aside into v_picked, v_put_aside
            from pgdial.choose_allowed(v_trunks, v_most, p_wanted, v_heads, v_in_flight, v_lease, v_now, false) a;
            if cardinality(v_picked) > 0 then
                if pgdial.is_draining(p_worker) then
                    return next;
                    return;
                end if;
                v_seq := nextval('pgdial.claim_order');
                v_claimed := pgdial.stamp_all(p_worker, v_picked, v_seq, p_trunks, p_accounts, p_leases, v_now);
            end if;
        exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
            select a.picked, a.put_aside into v_picked, v_put_aside
            from pgdial.choose_allowed(v_trunks, v_most, p_wanted, v_heads, v_in_flight, v_lease, v_now, true) a;
            if pgdial.is_draining(p_worker) then
                return next;
                return;
            end if;
            v_seq := coalesce(v_seq, nextval('pgdial.claim_order'));
            v_claimed := pgdial.stamp_each(p_worker, v_picked, v_seq, p_trunks, p_accounts, p_leases, v_now);
        end;
        perform pgdial.keep_floor(v_in_flight, v_seq);
        if v_is_paced or exists (select from pgdial.trunk_breaker b where b.opened_at is not null) then
            perform pgdial.spend(v_claimed, v_now);
        end if;
    end if;
    if cardinality(v_claimed) = 0 and exists (select from unnest(pgdial.skips(v_now)) s where s.seen_at = v_now) then
        wait_ms := 0;   -- an unclaimable crowd was scanned only in part: continue behind it
    elsif cardinality(v_picked) + v_put_aside > 0 then
        -- Some could not be claimed and are now passed over, or put aside: there are others behind them.
        wait_ms := case when cardinality(v_claimed) < p_wanted then 0 end;
    else
        wait_ms := ceil(extract(epoch from least(
            v_look_again_at,
            case when cardinality(v_trunks) < cardinality(p_trunks) then v_now + '1 second'::interval end,
            case when cardinality(v_heads) > 0 then pgdial.next_due(v_trunks, v_heads, v_in_flight, v_now) end) - v_now) * 1000);
    end if;
    if cardinality(v_claimed) = 0 then
        return next;
        return;
    end if;
    return query select 'claimed', claim.wait_ms, c.id, c.claim_no, c.attempt, c.phone, c.from_number, c.script_id,
                        c.metadata, c.trunk, c.campaign, c.lease_until, c.ring_timeout_sec, c.max_duration_sec,
                        greatest(0, extract(epoch from v_now - c.run_at) * 1000)::bigint, c.traceparent, c.answering_machine
                 from unnest(v_claimed) c;
end $$;

-- is_draining: a draining worker gets no calls, ever again. Asked after the pick: who sees a call that was enqueued
-- after the drain sees the drain.
create or replace function pgdial.is_draining(p_worker uuid) returns boolean
language plpgsql stable
as $$
begin
    return coalesce((select w.draining from pgdial.workers w where w.id = p_worker), false);
end $$;

-- gate: one claimer at a time, until the transaction ends. False after 2 s of waiting. Separate from the
-- claim's other statements, so that their snapshots are younger than the gate.
create or replace function pgdial.gate() returns boolean
language plpgsql volatile
set lock_timeout = '2s'
as $$
begin
    -- 0x70676469 is "pgdi": a class of our own among the advisory locks of this database.
    perform pg_advisory_xact_lock(x'70676469'::int, 1), set_config('pgdial.gate', 'held', true);
    return true;
exception when lock_not_available then
    return false;
end $$;

-- gate_if_free: the same without waiting.
create or replace function pgdial.gate_if_free() returns boolean
language plpgsql volatile
as $$
begin
    if not pg_try_advisory_xact_lock(x'70676469'::int, 1) then
        return false;
    end if;
    perform set_config('pgdial.gate', 'held', true);
    return true;
end $$;

-- spend: deduct these dials from the pace of their trunks, and from the probes of an open breaker.
create or replace function pgdial.spend(p_claimed pgdial.claimed[], p_now timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_trunk record;
begin
    for v_trunk in select c.trunk, count(*)::int as n from unnest(p_claimed) c group by 1 loop
        perform pgdial.spend_pace(v_trunk.trunk, v_trunk.n, p_now);
        -- While a breaker is open one call probes; the next one waits for its result, or for this time.
        update pgdial.trunk_breaker b set probes = b.probes + 1, not_before = p_now + '30 seconds'
        where b.trunk in (select s.trunk from pgdial.trunk_breaker s
                          where s.opened_at is not null and s.trunk = v_trunk.trunk for no key update skip locked);
    end loop;
end $$;

-- pass_over: a row that cannot be stamped is tried again in 30 s. Stored in another table, because the row
-- itself may not be writable. Its event is written at most once an hour.
create or replace function pgdial.pass_over(p_id uuid, p_why text, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    insert into pgdial.unclaimable as o (call_id, until, why) values (p_id, p_now + '30 seconds'::interval, p_why)
    on conflict (call_id) do update set until = excluded.until, why = excluded.why;
    if not exists (select from pgdial.call_events e
                   where e.call_id = p_id and e.kind = 'skipped' and e.at > p_now - '1 hour'::interval) then
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, c.id, c.claim_no, c.attempt, 'skipped', jsonb_build_object('why', p_why)
        from pgdial.calls c where c.id = p_id;
    end if;
end $$;

-- stamp_each: when one row cannot be stamped (a constraint, an index), the rows are stamped one by one, and
-- the offender is passed over for 30 s.
create or replace function pgdial.stamp_each(
    p_worker uuid, p_picked pgdial.picked[], p_seq bigint, p_trunks text[], p_accounts text[], p_leases int[], p_now timestamptz
) returns pgdial.claimed[]
language plpgsql volatile
as $$
declare
    v_one pgdial.picked;
    v_claimed pgdial.claimed[] := '{}';
begin
    foreach v_one in array p_picked loop
        begin
            v_claimed := v_claimed || pgdial.stamp_all(p_worker, array[v_one], p_seq, p_trunks, p_accounts, p_leases, p_now);
        exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
            perform pgdial.pass_over(v_one.id, sqlerrm, p_now);
        end;
    end loop;
    return v_claimed;
end $$;

-- stamp_all: assign the picked rows to this worker. From here on each of them is a slot and a taken number.
-- One statement for the rows, their events and the result.
create or replace function pgdial.stamp_all(
    p_worker uuid, p_picked pgdial.picked[], p_seq bigint, p_trunks text[], p_accounts text[], p_leases int[], p_now timestamptz
) returns pgdial.claimed[]
language plpgsql volatile
as $$
declare
    v_floor constant bigint := pgdial.claim_floor();
    v_to_hang_up constant uuid[] := pgdial.to_hang_up(p_picked, p_now);
    v_shared constant text[] := array(select l.name from pgdial.contact_limits l where l.all_campaigns);
    v_claimed pgdial.claimed[];
begin
    with stamped as (
        update pgdial.calls c
        set state = 'dialing', claim_no = greatest(c.claim_no, v_floor) + 1, attempt = c.attempt + 1,
            claim_seq = p_seq, claimed_at = p_now, claimed_by = p_worker, lease_until = p_now + l.sec * '1 second'::interval,
            lease_sec = nullif(l.sec, 60), ring_timeout_sec = t.ring, max_duration_sec = t.talk,
            deadline_at = p_now + (l.sec + t.ring + t.talk) * '1 second'::interval + '1 minute'::interval,     -- own_deadline
            trunk = p.trunk, caller_id = coalesce(p.caller_id, c.from_number),
            account = p_accounts[array_position(p_trunks, p.trunk)], started_at = coalesce(c.started_at, p_now), hold_until = null,
            answering_machine = case when c.id = any (v_to_hang_up) then 'hang_up' else g.answering_machine end, answered_by = null,
            look_up_at = null, not_found = 0, not_found_since = null, repeated_at = null
        from unnest(p_picked, pgdial.caller_ids_for(p_picked, p_now)) p (id, phone, campaign, trunk, numbers, caller_id)
             join pgdial.campaigns g on g.name = p.campaign
             left join pgdial.calling_hours h on h.name = g.calling_hours
             cross join lateral (values (extract(epoch from g.ring_timeout)::int, extract(epoch from g.max_duration)::int)) t (ring, talk)
             cross join lateral (values (coalesce(p_leases[array_position(p_trunks, p.trunk)], 60))) l (sec)
        where c.id = p.id and c.state::text = 'waiting' and p.caller_id is distinct from ''   -- none left for it
        returning c.id, c.claim_no, c.attempt, c.phone, c.numbers, c.caller_id as from_number, c.script_id, c.metadata, c.trunk, c.campaign,
                  c.lease_until, c.ring_timeout_sec, c.max_duration_sec, c.priority, c.run_at, c.traceparent, c.answering_machine,
                  pgdial.allowed(c, g, coalesce(g.zone_basis, h.zone_basis), v_shared) as allowed
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, s.id, s.claim_no, s.attempt, 'active',
               jsonb_strip_nulls(jsonb_build_object('trunk', s.trunk, 'worker', p_worker, 'run_at', s.run_at, 'caller_id', s.from_number,
                                  'number', array_position(s.numbers, s.phone),
                                  'ring_timeout_sec', s.ring_timeout_sec, 'max_duration_sec', s.max_duration_sec,
                                  'answering_machine', nullif(s.answering_machine, 'ignore'))) || s.allowed
        from stamped s
    )
    select coalesce(array_agg(row(s.id, s.claim_no, s.attempt, s.phone, s.from_number, s.script_id, s.metadata, s.trunk,
                                  s.campaign, s.lease_until, s.ring_timeout_sec, s.max_duration_sec, s.run_at, s.traceparent, s.answering_machine)::pgdial.claimed
                              order by s.priority desc, s.run_at, s.id), '{}')
    into v_claimed
    from stamped s;
    perform pgdial.note_dials(v_claimed, p_now);
    return v_claimed;
end $$;
