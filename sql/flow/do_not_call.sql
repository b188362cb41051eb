-- do_not_call_add, do_not_call_remove: the list of numbers not to ring. A waiting call
-- to such a number is passed over by the claim at once and suppressed by the sweep;
-- a live one is left alone (cancel it).
-- Add answers whether the number was new to the list, remove whether it was on it; what is no
-- number is an error that says so. What changes the list leaves an act.
-- A number as it is dialled in a region: pgdial.normal_phone('(415) 555-0100', 'US').
create or replace function pgdial.do_not_call_add(p_phone text, p_reason text, p_by text default session_user)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_phone constant text := pgdial.needed_phone(p_phone, null, 'the number');
    v_added boolean;
begin
    insert into pgdial.do_not_call (phone, reason, by) values (v_phone, p_reason, p_by) on conflict (phone) do nothing;
    v_added := found;
    if v_added then
        perform pgdial.note_act('do_not_call_add', 'number', v_phone, p_by, p_reason);
    end if;
    perform pgdial.wake('sweep');
    return v_added;
end $$;

create or replace function pgdial.do_not_call_remove(p_phone text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select pgdial.do_not_call_remove_as(p_phone, null, session_user) $$;

-- do_not_call_remove_as: the same, with why, and on behalf of somebody.
create or replace function pgdial.do_not_call_remove_as(p_phone text, p_why text, p_by text default session_user) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_phone constant text := pgdial.needed_phone(p_phone, null, 'the number');
    v_reason text;
begin
    delete from pgdial.do_not_call d where d.phone = v_phone returning d.reason into v_reason;
    if not found then
        return false;
    end if;
    perform pgdial.note_act('do_not_call_remove', 'number', v_phone, p_by, p_why,
                            jsonb_build_object('reason', v_reason));
    return true;
end $$;
