-- defer: dialing, unresolved -> waiting, the attempt not counted, for a dial that certainly rings nobody.
-- p_items: [{id, claim_no, reason, retry_after_sec?, why?}]; reasons as in put_back.
-- Verdicts: deferred, failed (20 times without capacity, or 5 times forbidden), canceled (a cancel was
-- wished), suppressed, stale (also when a webhook has taken it to in_call: then it is at
-- the provider, whatever its answer said; and when its request was sent again meanwhile:
-- then that one may ring), locked_out, refused (a constraint or a trigger says no:
-- detail.why), not_found.  Index: primary key.
create or replace function pgdial.defer(p_items jsonb, p_wait boolean default false)
returns table (ordinal int, verdict text, detail jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_item record;
    v_call pgdial.calls;
    v_now timestamptz;
begin
    for v_item in select * from pgdial.locked_items(p_items, p_wait) loop
        v_now := coalesce(v_now, pgdial.now());
        ordinal := v_item.ordinal;
        verdict := v_item.verdict;
        detail := null;
        if verdict is null then
            begin
                select c.* into v_call from pgdial.calls c
                where c.id = v_item.id and c.claim_no = (v_item.item ->> 'claim_no')::bigint
                  and c.state::text in ('dialing', 'unresolved') and c.repeated_at is null
                  -- What an early webhook has moved on is at the provider: never give that back.
                  and (v_item.item ->> 'reason' <> 'give_back' or c.state::text = 'dialing');
                verdict := case when found then pgdial.put_back(
                    v_call, v_item.item ->> 'reason', pgdial.asked_wait(v_item.item -> 'retry_after_sec'),
                    jsonb_build_object('why', v_item.item ->> 'why'), v_now) else 'stale' end;
            exception when integrity_constraint_violation or raise_exception or data_exception then
                verdict := 'refused';   -- this one alone: the others go on
                detail := jsonb_build_object('why', sqlerrm, 'sqlstate', sqlstate);
            end;
        end if;
        return next;
    end loop;
end $$;

-- give_back: after a claim whose reply was lost, the worker's own dialing rows that it
-- never received are deferred: nobody will dial them.
-- p_held: [{id, claim_no}] that the worker does hold. It passes the gate first, so that
-- the lost claim, if it is still running, ends before we look. Rows past their lease
-- belong to the sweep: a dial of theirs may have been sent and its result never recorded.
-- Answers how many went back, and how many somebody holds (try again for those). One that
-- cannot be moved is left to the sweep.
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
