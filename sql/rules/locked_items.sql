-- locked_items: the items of a verb, with what lock_calls did with their rows.
-- p_items: an array of objects, each with "id". verdict: null = locked, go on; locked_out = another transaction
-- holds the row; not_found = there is no such call.
create or replace function pgdial.locked_items(p_items jsonb, p_wait boolean)
returns table (ordinal int, item jsonb, id uuid, verdict text)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
    v_locked uuid[];
begin
    v_locked := pgdial.lock_calls(array(
        select (i ->> 'id')::uuid from jsonb_array_elements(p_items) i), p_wait);
    return query
        select e.n::int, e.i, k.id,
               case when k.id in (select l from unnest(v_locked) l) then null
                    -- Not "exists": the planner may hash it, reading every call.
                    when (select c.id from pgdial.calls c where c.id = k.id) is not null then 'locked_out'
                    else 'not_found' end
        from jsonb_array_elements(p_items) with ordinality as e (i, n),
             lateral (select (e.i ->> 'id')::uuid) as k (id)
        order by e.n;
end $$;
