-- do_not_call_add, do_not_call_remove: the list of numbers not to ring. The claim passes over a waiting call
-- to such a number at once, and the sweep suppresses it; a live call is left alone (cancel it).
-- Add returns whether the number was new to the list, remove whether it was on it; an invalid number is an
-- error that says so. A change to the list writes an act.
-- For a number in national format: pgdial.normal_phone('(415) 555-0100', 'US').
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

-- do_not_call_add_many: the same for a list of numbers, with a reason each. An invalid number does not affect
-- the others.
-- Verdicts, in item order: added, listed (already, or earlier in this list), invalid.
-- One act for all of them: each row of the list says who added the number and why.
-- Races: numbers are inserted in sorted order, so that two lists with the same numbers wait for each other
-- and never deadlock. Locked numbers are not skipped: one that another transaction is adding must be on the
-- list when this returns.
-- Plans: no join. New numbers are looked up in a hash, whatever row count the plan was made with.
create or replace function pgdial.do_not_call_add_many(p_phones text[], p_reasons text[], p_by text default session_user)
returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_verdicts text[];
    v_added int;
begin
    with asked as materialized (
        select i.n, p.phone, coalesce(i.reason, '') as reason,
               row_number() over (partition by p.phone collate "C" order by i.n) = 1 as is_first
        from unnest(p_phones, p_reasons) with ordinality as i (phone, reason, n),
             lateral (select pgdial.normal_phone(i.phone) as phone offset 0) p   -- a fence: evaluated once
    ), new as (
        insert into pgdial.do_not_call as d (phone, reason, by, at)
        select a.phone, a.reason, p_by, v_now from asked a
        where a.phone is not null and a.is_first order by a.phone collate "C"
        on conflict (phone) do nothing
        returning d.phone
    )
    select array_agg(case when a.phone is null then 'invalid'
                          when a.is_first and a.phone in (select new.phone from new) then 'added'
                          else 'listed' end order by a.n)
    into v_verdicts from asked a;
    v_added := cardinality(array_positions(v_verdicts, 'added'));
    if v_added > 0 then
        perform pgdial.note_act('do_not_call_add', 'number', null, p_by, null, jsonb_build_object('added', v_added));
    end if;
    perform pgdial.wake('sweep');
    return coalesce(v_verdicts, '{}');
end $$;

create or replace function pgdial.do_not_call_remove(
    p_phone text, p_why text default null, p_by text default session_user
) returns boolean
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
