-- release: an operator knows that an unexplained dial is over: its number is free again.
-- Answers released, not_held, locked_out or not_found. Index: primary key.
create or replace function pgdial.release(p_id uuid, p_why text, p_by text default session_user) returns text
language plpgsql volatile
as $$
declare
    v_call pgdial.calls;
    v_now timestamptz;
begin
    if cardinality(pgdial.lock_calls(array[p_id])) = 0 then
        return case when exists (select from pgdial.calls c where c.id = p_id) then 'locked_out' else 'not_found' end;
    end if;
    v_now := pgdial.now();
    update pgdial.calls c set hold_until = null where c.id = p_id and c.hold_until > v_now returning c.* into v_call;
    if not found then
        return 'not_held';
    end if;
    perform pgdial.note(v_call, 'released', v_now, jsonb_build_object('by', p_by, 'why', p_why));
    perform pgdial.wake('claim');
    return 'released';
end $$;
