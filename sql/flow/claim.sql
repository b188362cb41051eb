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
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set max_parallel_workers_per_gather = 0
as $$
declare
    v_now timestamptz;
    v_picked pgdial.picked[];
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
    v_picked := array(select p from pgdial.pick(p_trunks, p_wanted, v_now) p);
    calls := pgdial.stamp(p_worker, v_picked, v_now);
    verdict := case when jsonb_array_length(calls) > 0 then 'claimed' else 'none' end;
    if jsonb_array_length(calls) < cardinality(v_picked) then
        wait_ms := 0;   -- some cannot be claimed, and are passed over now: others stand behind them
    elsif jsonb_array_length(calls) < p_wanted then
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

-- stamp: make the picked rows this worker's. From here on each of them is a slot and
-- a taken number. If one row cannot be stamped (a constraint, an index), the others
-- still are: one by one, and the offender is passed over for 30 s.
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
    exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
        foreach v_one in array p_picked loop
            begin
                v_calls := v_calls || pgdial.stamp_all(p_worker, array[v_one], p_now);
            exception when integrity_constraint_violation or raise_exception or data_exception or lock_not_available then
                perform pgdial.pass_over(v_one.id, sqlerrm, p_now);
            end;
        end loop;
    end;

    perform pgdial.spend_pace(n.trunk, n.n, p_now)
    from (select c ->> 'trunk' as trunk, count(*)::int as n from jsonb_array_elements(v_calls) c group by 1) n;
    -- While a breaker is open one call probes; the next waits for its answer, or for this.
    update pgdial.trunk_breaker b set probes = b.probes + 1, not_before = p_now + '30 seconds'
    where b.trunk in (select s.trunk from pgdial.trunk_breaker s
                      where s.opened_at is not null and s.trunk in (select c ->> 'trunk' from jsonb_array_elements(v_calls) c)
                      for no key update skip locked);
    return v_calls;
end $$;

-- pass_over: a row that cannot be stamped is tried again in 30 s. Remembered beside the row,
-- which perhaps cannot be written at all. Its event is written once an hour at most.
create or replace function pgdial.pass_over(p_id uuid, p_why text, p_now timestamptz) returns void
language plpgsql volatile
set plan_cache_mode = force_custom_plan
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

-- stamp_all: one statement for the rows, their events and the answer.
create or replace function pgdial.stamp_all(p_worker uuid, p_picked pgdial.picked[], p_now timestamptz) returns jsonb
language sql volatile
as $$
    with claimed as (
        update pgdial.calls c
        set state = 'dialing', claim_no = greatest(c.claim_no, pgdial.claim_floor()) + 1, attempt = c.attempt + 1,
            claimed_at = p_now, claimed_by = p_worker, lease_until = p_now + '60 seconds',
            deadline_at = p_now + g.ring_timeout + g.max_duration + '2 minutes',
            trunk = p.trunk, started_at = coalesce(c.started_at, p_now), hold_until = null,
            look_up_at = null, not_found = 0, not_found_since = null, repeated_at = null
        from unnest(p_picked) p join pgdial.campaigns g on g.name = p.campaign
        where c.id = p.id and c.state::text = 'waiting'
        returning c, g.ring_timeout, g.max_duration
    ), noted as (
        insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail)
        select p_now, (d.c).id, (d.c).claim_no, (d.c).attempt, 'active',
               jsonb_build_object('trunk', (d.c).trunk, 'worker', p_worker, 'run_at', (d.c).run_at)
        from claimed d
    )
    select coalesce(jsonb_agg(pgdial.dial_order(d.c, d.ring_timeout, d.max_duration, (d.c).lease_until)
                              order by (d.c).priority desc, (d.c).run_at, (d.c).id), '[]')
    from claimed d
$$;
