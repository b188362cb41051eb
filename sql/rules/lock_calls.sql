-- lock_calls: lock rows first, in id order; returns the ids that we now hold. Every verb on known ids begins
-- with it, so that no two of them lock in different orders.
-- p_wait: wait up to 500 ms for a locked row: for a call that comes alone. A batch skips locked rows (skip
-- locked): one row held by a person must not hold up the others.
-- Index: primary key, pinned by the absence of any state in the WHERE, and because the planner may not scan the
-- table.
create or replace function pgdial.lock_calls(p_ids uuid[], p_wait boolean) returns uuid[]
language plpgsql volatile
set lock_timeout = '500ms'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_ids constant uuid[] := array(select distinct i from unnest(p_ids) i where i is not null order by i);
    v_locked constant uuid[] := array(
        select c.id from pgdial.calls c where c.id = any (v_ids) order by c.id for update skip locked);
begin
    if not p_wait or cardinality(v_locked) = cardinality(v_ids) then
        return v_locked;
    end if;
    -- In a block, which is a subtransaction, only if it has to wait: locking a row in one and updating it in
    -- another creates a multixact, which costs more than the update.
    begin
        return array(select c.id from pgdial.calls c where c.id = any (v_ids) order by c.id for update);
    exception when lock_not_available then
        return v_locked;
    end;
end $$;
