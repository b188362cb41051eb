-- do_not_call_add, do_not_call_remove: the list of numbers not to ring. A waiting call
-- to such a number is passed over by the claim at once and suppressed by the sweep;
-- a live one is left alone (cancel it).
-- Add answers whether the number was new to the list, remove whether it was on it;
-- null = not an E.164 number.
create or replace function pgdial.do_not_call_add(p_phone text, p_reason text, p_by text default session_user)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    with added as (
        insert into pgdial.do_not_call (phone, reason, by)
        select p, p_reason, p_by from pgdial.normal_phone(p_phone) p where p is not null
        on conflict (phone) do nothing returning phone
    ), woken as (select pgdial.wake('sweep'))
    select case when pgdial.normal_phone(p_phone) is not null then exists (select from added) end from woken
$$;

create or replace function pgdial.do_not_call_remove(p_phone text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    with removed as (
        delete from pgdial.do_not_call d where d.phone = pgdial.normal_phone(p_phone) returning d.phone
    )
    select case when pgdial.normal_phone(p_phone) is not null then exists (select from removed) end
$$;
