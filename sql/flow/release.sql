-- release: an operator knows that an unexplained dial is over, and frees its number.
-- Returns released, not_held, locked_out or not_found.
--   select pgdial.release('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90', 'the provider says that it is over');
-- Index: primary key.
create or replace function pgdial.release(p_id uuid, p_why text, p_by text default session_user) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_call pgdial.calls;
    v_now timestamptz;
begin
    if cardinality(pgdial.lock_calls(array[p_id], true)) = 0 then
        return case when exists (select from pgdial.calls c where c.id = p_id) then 'locked_out' else 'not_found' end;
    end if;
    v_now := pgdial.now();
    select c.* into v_call from pgdial.calls c where c.id = p_id;
    if v_call.hold_until is null or v_call.hold_until <= v_now then
        return 'not_held';
    end if;
    -- No hold_until in this WHERE: the planner would then leave the primary key for another index.
    update pgdial.calls c
    set hold_until = null, run_at = case when c.state::text = 'waiting' then v_now else c.run_at end
    where c.id = p_id and c.claim_no = v_call.claim_no;
    perform pgdial.note(v_call, 'released', v_now, jsonb_build_object('by', p_by, 'why', p_why));
    perform pgdial.wake('claim');
    return 'released';
end $$;
