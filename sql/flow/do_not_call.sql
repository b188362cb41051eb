-- do_not_call_add, do_not_call_remove: add a number to the list of those not to ring, or remove it. The claim passes
-- over a waiting call to such a number at once, and the sweep suppresses it; a live call is left alone (cancel it).
-- p_topic, p_campaign: where the entry holds, one of them at most; null: everywhere. p_until: until when; null: for
-- ever. Entries of other scopes are not touched: remove names the scope that add named.
-- Add returns whether the list changed (an entry that ends later is extended), remove whether the entry was
-- there; an invalid number or scope is an error that says so. A change to the list writes an act.
-- For a number in national format: pgdial.normal_phone('(415) 555-0100', 'US').
--   select pgdial.do_not_call_add('+14155550101', 'asked on the phone', p_topic => 'renewals');
--   select pgdial.do_not_call_remove('+14155550101', 'asked to be called again', p_topic => 'renewals');
create or replace function pgdial.do_not_call_add(
    p_phone text, p_reason text, p_by text default session_user,
    p_topic text default null, p_campaign text default null, p_until timestamptz default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_phone constant text := pgdial.needed_phone(p_phone, null, 'the number');
    v_added boolean;
begin
    perform pgdial.check_scope(p_topic, p_campaign, p_until, v_now);
    v_added := pgdial.list_number(v_phone, coalesce(p_topic, ''), coalesce(p_campaign, ''), p_until, p_reason, p_by, v_now);
    if v_added then
        perform pgdial.note_act('do_not_call_add', 'number', v_phone, p_by, p_reason, jsonb_build_object(
            'topic', p_topic, 'campaign', p_campaign, 'until', p_until));
    end if;
    perform pgdial.wake('sweep');
    return v_added;
end $$;

-- check_scope: an error that says what is wrong with the scope of an entry. A campaign must exist: a mistyped one
-- would protect nobody.
create or replace function pgdial.check_scope(p_topic text, p_campaign text, p_until timestamptz, p_now timestamptz) returns void
language plpgsql stable
as $$
declare
    v_problem constant text := case
        when p_topic is not null and p_campaign is not null then '"topic" and "campaign" exclude each other: add two entries'
        when length(p_topic) not between 1 and 100 then '"topic" has 1 to 100 characters'
        when p_campaign is not null and not exists (select from pgdial.campaigns g where g.name = p_campaign)
            then format('there is no campaign "%s"', p_campaign)
        when p_until <= p_now then '"until" lies in the past' end;
begin
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- do_not_call_add_many: as do_not_call_add, for a list of numbers, with a reason each and one scope. An invalid number
-- does not affect the others.
-- Verdicts, in item order: added (or extended), listed (already, or earlier in this list), invalid.
-- One act for all of them: each row of the list says who added the number and why.
--   select pgdial.do_not_call_add_many(array['+14155550101', '+14155550102'], array['by letter', 'by letter']);
-- Races: numbers are inserted in sorted order, so that two lists with the same numbers wait for each other
-- and never deadlock. Locked numbers are not skipped: one that another transaction is adding must be on the
-- list when this returns.
-- Plans: no join. New numbers are looked up in a hash, whatever row count the plan was made with.
create or replace function pgdial.do_not_call_add_many(
    p_phones text[], p_reasons text[], p_by text default session_user,
    p_topic text default null, p_campaign text default null, p_until timestamptz default null
) returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_verdicts text[];
    v_added int;
begin
    perform pgdial.check_scope(p_topic, p_campaign, p_until, v_now);
    with asked as materialized (
        select i.n, p.phone, coalesce(i.reason, '') as reason,
               row_number() over (partition by p.phone collate "C" order by i.n) = 1 as is_first
        from unnest(p_phones, p_reasons) with ordinality as i (phone, reason, n),
             lateral (select pgdial.normal_phone(i.phone) as phone offset 0) p   -- a fence: evaluated once
    ), new as (
        insert into pgdial.do_not_call as d (phone, topic, campaign, until, reason, by, at)
        select a.phone, coalesce(p_topic, ''), coalesce(p_campaign, ''), p_until, a.reason, p_by, v_now from asked a
        where a.phone is not null and a.is_first order by a.phone collate "C"
        on conflict (phone, topic, campaign) do update        -- as list_number
            set until = excluded.until, reason = excluded.reason, by = excluded.by, at = excluded.at, pending = true
            where d.until < coalesce(excluded.until, 'infinity')
        returning d.phone
    )
    select array_agg(case when a.phone is null then 'invalid'
                          when a.is_first and a.phone in (select new.phone from new) then 'added'
                          else 'listed' end order by a.n)
    into v_verdicts from asked a;
    v_added := cardinality(array_positions(v_verdicts, 'added'));
    if v_added > 0 then
        perform pgdial.note_act('do_not_call_add', 'number', null, p_by, null, jsonb_build_object(
            'added', v_added, 'topic', p_topic, 'campaign', p_campaign, 'until', p_until));
    end if;
    perform pgdial.wake('sweep');
    return coalesce(v_verdicts, '{}');
end $$;

create or replace function pgdial.do_not_call_remove(
    p_phone text, p_why text default null, p_by text default session_user,
    p_topic text default null, p_campaign text default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_phone constant text := pgdial.needed_phone(p_phone, null, 'the number');
    v_reason text;
begin
    -- Of a campaign that is gone, too.
    perform pgdial.check_scope(p_topic, case when p_topic is not null then p_campaign end, null, null);
    delete from pgdial.do_not_call d
    where d.phone = v_phone and d.topic = coalesce(p_topic, '') and d.campaign = coalesce(p_campaign, '')
    returning d.reason into v_reason;
    if not found then
        return false;
    end if;
    perform pgdial.note_act('do_not_call_remove', 'number', v_phone, p_by, p_why,
                            jsonb_build_object('reason', v_reason, 'topic', p_topic, 'campaign', p_campaign));
    return true;
end $$;
