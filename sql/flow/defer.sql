-- defer: dialing, unresolved -> waiting, the attempt not counted, for a dial that certainly rings nobody.
-- p_items: [{id, claim_no, reason, retry_after_sec?, why?}]; reasons as in put_back.
-- Verdicts: deferred, failed (20 times without capacity, or 5 times forbidden), canceled (a cancel was
-- requested), suppressed, stale, and those of each.
-- Also stale: a webhook has moved it to in_call, so the provider has it, whatever its response said; or its
-- request was sent again meanwhile, so the repeat may ring.
-- Index: primary key.
create or replace function pgdial.defer(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
    return query select * from pgdial.each('defer_one', p_items, p_wait);
end $$;

-- defer_one: see each.
create or replace function pgdial.defer_one(
    p_item jsonb, p_call pgdial.calls, p_now timestamptz, out verdict text, out detail jsonb
)
language plpgsql volatile
as $$
declare
    v_reason constant text := p_item ->> 'reason';
begin
    verdict := case
        when p_call.claim_no = (p_item ->> 'claim_no')::bigint
             and p_call.state::text in ('dialing', 'unresolved') and p_call.repeated_at is null
             -- What an early webhook has moved on is at the provider: never give that back.
             and (v_reason <> 'give_back' or p_call.state::text = 'dialing')
        then pgdial.put_back(p_call, v_reason, pgdial.asked_wait(p_item -> 'retry_after_sec'),
                             jsonb_build_object('why', p_item ->> 'why'), p_now)
        else 'stale' end;
end $$;

-- give_back: after a claim whose reply was lost, defers the dialing rows of this worker that it never
-- received: nobody will dial them.
-- p_held: [{id, claim_no}] that the worker does hold.
-- Races: it passes the gate first, so that the lost claim, if it is still running, ends before the rows are
-- read. (One that enqueues first may pass the gate later: its calls wait out their lease, and are then in doubt.) Rows past their lease belong to the sweep: they may have been dialled without the result being
-- recorded.
-- Returns how many were deferred, and how many are locked by others (try again for those). A row that cannot
-- be updated is left to the sweep.
create or replace function pgdial.give_back(
    p_worker uuid, p_held jsonb, out given int, out locked_out int
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz;
    v_lost jsonb;
begin
    if not pgdial.gate() then
        raise exception 'pgdial.give_back: the gate is busy' using errcode = 'lock_not_available';
    end if;
    v_now := pgdial.now();
    select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'claim_no', c.claim_no, 'reason', 'give_back',
                                                 'why', 'the reply of the claim was lost')), '[]')
    into v_lost
    from pgdial.calls c
    where c.state = 'dialing' and c.claimed_by = p_worker and c.lease_until > v_now
      and not exists (select from jsonb_array_elements(p_held) h
                      where (h ->> 'id')::uuid = c.id and (h ->> 'claim_no')::bigint = c.claim_no);
    select count(*) filter (where d.verdict in ('deferred', 'canceled', 'suppressed')),
           count(*) filter (where d.verdict = 'locked_out')
    into given, locked_out from pgdial.defer(v_lost) d;
end $$;
