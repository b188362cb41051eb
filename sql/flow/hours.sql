-- set_calling_hours, delete_calling_hours, set_calendar, delete_calendar: set or delete when people may be rung, at
-- run time. What is set replaces what was there as a whole; triggers record it in the audit and wake the workers.
-- Everything that is wrong is reported together in one error, one per line.
-- p_by, p_why: for the audit (acts).
--   select pgdial.set_calling_hours('office', '{"week": "mon-fri 09:00-17:00", "timezone": "Europe/Berlin"}');
--   select * from pgdial.delete_calling_hours('office');
--   select pgdial.set_calendar('ours', '{"days": [{"day": "2026-12-24", "name": "Christmas Eve"}]}');
--   select * from pgdial.delete_calendar('ours');

-- set_calling_hours: p_hours: {"week": "mon-fri 09:00-20:00, sat 09:00-17:00", "timezone": ..., "calendar": ...,
-- "zoneBasis": ..., "source": ..., "regions": {"US-FL": {"week": ..., "timezone": ..., "calendar": ..., "source": ...}}}; a region may
-- have just its week. Returns whether they are new.
create or replace function pgdial.set_calling_hours(
    p_name text, p_hours jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_hours constant jsonb := jsonb_strip_nulls(p_hours);
    v_regions constant jsonb := pgdial.rules_of_regions(v_hours -> 'regions');
    v_new boolean;
begin
    perform pgdial.check_calling_hours(p_name, v_hours, v_regions, p_why);
    insert into pgdial.calling_hours as h (name, week, timezone, calendar, zone_basis, source)
    values (p_name, pgdial.read_hours(v_hours ->> 'week'), v_hours ->> 'timezone', v_hours ->> 'calendar',
            coalesce(v_hours ->> 'zoneBasis', 'given_or_number'), v_hours ->> 'source')
    on conflict (name) do nothing;
    v_new := found;
    update pgdial.calling_hours h
    set week = pgdial.read_hours(v_hours ->> 'week'), timezone = v_hours ->> 'timezone', calendar = v_hours ->> 'calendar',
        zone_basis = coalesce(v_hours ->> 'zoneBasis', 'given_or_number'), source = v_hours ->> 'source'
    where h.name = p_name and not v_new;
    delete from pgdial.calling_hours_regions r where r.hours = p_name and not v_regions ? r.region;
    insert into pgdial.calling_hours_regions as r (hours, region, week, timezone, calendar, source)
    select p_name, g.key, pgdial.read_hours(g.value ->> 'week'), g.value ->> 'timezone', g.value ->> 'calendar', g.value ->> 'source'
    from jsonb_each(v_regions) g
    on conflict (hours, region) do update
    set week = excluded.week, timezone = excluded.timezone, calendar = excluded.calendar, source = excluded.source
    where (r.week, r.timezone, r.calendar, r.source)
          is distinct from (excluded.week, excluded.timezone, excluded.calendar, excluded.source);
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_new;
end $$;

-- rules_of_regions: with the names of the regions in capitals, and each an object.
create or replace function pgdial.rules_of_regions(p_regions jsonb) returns jsonb
language plpgsql immutable
as $$
begin
    if jsonb_typeof(p_regions) is distinct from 'object' then
        return '{}';
    end if;
    return coalesce((
        select jsonb_object_agg(upper(r.key collate "C"),
                                case jsonb_typeof(r.value) when 'string' then jsonb_build_object('week', r.value) else r.value end)
        from jsonb_each(p_regions) r), '{}');
end $$;

-- check_calling_hours: everything that is wrong with them.
create or replace function pgdial.check_calling_hours(p_name text, p_hours jsonb, p_regions jsonb, p_why text) returns void
language plpgsql stable
as $$
declare
    v_faults text[] := pgdial.name_faults('calling hours', p_name) || pgdial.why_faults(p_why)
        || pgdial.rule_faults(p_hours, null, array['week', 'timezone', 'calendar', 'zoneBasis', 'source', 'regions']);
    v_region record;
begin
    if coalesce(p_hours ->> 'zoneBasis', 'given') not in ('given_or_number', 'given_and_number', 'given') then
        v_faults := v_faults || '"zoneBasis" must be given_or_number, given_and_number or given'::text;
    end if;
    if coalesce(jsonb_typeof(p_hours -> 'regions'), 'object') <> 'object' then
        v_faults := v_faults || '"regions" must be an object, as in {"US-FL": {"week": "mon-sun 08:00-20:00"}}'::text;
    end if;
    for v_region in select r.key as name, r.value as rule from jsonb_each(p_regions) r order by r.key loop
        if v_region.name !~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$' or pgdial.region_problem(left(v_region.name, 2)) is not null then
            v_faults := v_faults || format('"regions": "%s" is no region: write it as ISO 3166 does, as in US or US-FL', left(v_region.name, 20));
        elsif jsonb_typeof(v_region.rule) <> 'object' then
            v_faults := v_faults || format('"regions": %s must be its hours, or an object with its "week"', v_region.name);
        else
            v_faults := v_faults || pgdial.rule_faults(v_region.rule, v_region.name, array['week', 'timezone', 'calendar', 'source']);
        end if;
    end loop;
    perform pgdial.refuse(v_faults);
end $$;

-- rule_faults: what is wrong with the fields of one rule: of the hours, or of one region.
create or replace function pgdial.rule_faults(p_rule jsonb, p_region text, p_known text[]) returns text[]
language plpgsql stable
as $$
declare
    v_in constant text := case when p_region is null then '' else '"regions": ' || p_region || ': ' end;
    v_faults text[] := '{}';
    v_field text;
    v_type text;
    v_problem text;
begin
    if not p_rule ? 'week' then
        v_faults := v_faults || format('%s"week" is missing: the hours, as in "mon-fri 09:00-20:00, sat 09:00-17:00"', v_in);
    end if;
    for v_field, v_type in select k, jsonb_typeof(p_rule -> k) from jsonb_object_keys(p_rule) k order by k loop
        v_problem := case
            when v_field <> all (p_known) then format('is an unknown field: known are %s', array_to_string(p_known, ', '))
            when v_field = 'regions' then null
            when v_type <> 'string' then 'must be a string'
            when v_field = 'week' then ': ' || pgdial.hours_problem(p_rule ->> 'week')
            when v_field = 'timezone' then 'is ' || pgdial.timezone_problem(p_rule -> 'timezone')
            when v_field = 'calendar' and not exists (select from pgdial.calendars c where c.name = p_rule ->> 'calendar')
                then format(': there is no calendar "%s"', left(p_rule ->> 'calendar', 60))
            when v_field = 'source' and length(p_rule ->> 'source') > 1000 then 'has at most 1000 characters' end;
        if v_problem is not null then
            v_faults := v_faults || replace(format('%s"%s" %s', v_in, left(v_field, 60), v_problem), '" : ', '": ');
        end if;
    end loop;
    return v_faults;
end $$;

-- hours_problem: null if read_hours can read it.
create or replace function pgdial.hours_problem(p_text text) returns text
language plpgsql immutable
as $$
begin
    perform pgdial.read_hours(p_text);
    return null;
exception when invalid_parameter_value then
    return sqlerrm;
end $$;

-- delete_calling_hours: returns deleted, not_found, or in_use by these campaigns.
create or replace function pgdial.delete_calling_hours(
    p_name text, p_why text default null, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    begin
        delete from pgdial.calling_hours_regions r
        where r.hours = p_name and not exists (select from pgdial.campaigns g where g.calling_hours = p_name);
        delete from pgdial.calling_hours h where h.name = p_name;
        verdict := case when found then 'deleted' else 'not_found' end;
    exception when foreign_key_violation then
        verdict := 'in_use';
        used_by := array(select g.name from pgdial.campaigns g where g.calling_hours = p_name order by g.name);
    end;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

-- hours_named: the calling hours of this name; of dated ones (name@2026-11) the name alone means the newest. Null:
-- there are none.
create or replace function pgdial.hours_named(p_name text) returns text
language plpgsql stable
as $$
begin
    return (
        select h.name from pgdial.calling_hours h
        where h.name = p_name or h.name ~ '@[0-9-]+$' and split_part(h.name, '@', 1) = p_name
        order by h.name = p_name desc, h.name collate "C" desc limit 1);
end $$;

-- set_calendar: p_calendar: {"firstDay": "2026-01-01", "lastDay": "2030-12-31", "source": ..., "days": [{"day": "2026-12-25",
-- "name": "Christmas Day", "hours": "10:00-12:00"}]}: the days that have other hours than the week's; without hours,
-- closed. What lies outside firstDay and lastDay is not known, and so closed; left out, they are the ends of the
-- first and the last year that has a day. Returns whether it is new.
create or replace function pgdial.set_calendar(
    p_name text, p_calendar jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_calendar constant jsonb := jsonb_strip_nulls(p_calendar);
    v_covers daterange;
    v_new boolean;
begin
    v_covers := pgdial.check_calendar(p_name, v_calendar, p_why);
    insert into pgdial.calendars as c (name, covers, source) values (p_name, v_covers, v_calendar ->> 'source')
    on conflict (name) do nothing;
    v_new := found;
    update pgdial.calendars c set covers = v_covers, source = v_calendar ->> 'source'
    where c.name = p_name and not v_new;
    delete from pgdial.special_days d
    where d.calendar = p_name
      and d.day not in (select pgdial.read_day(e ->> 'day') from jsonb_array_elements(v_calendar -> 'days') e);
    insert into pgdial.special_days as d (calendar, day, name, hours)
    select p_name, pgdial.read_day(e ->> 'day'), btrim(e ->> 'name'), pgdial.read_slots(coalesce(e ->> 'hours', 'closed'))
    from jsonb_array_elements(v_calendar -> 'days') e
    on conflict (calendar, day) do update set name = excluded.name, hours = excluded.hours
    where (d.name, d.hours) is distinct from (excluded.name, excluded.hours);
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_new;
end $$;

-- check_calendar: everything that is wrong with it; returns the days that it covers.
create or replace function pgdial.check_calendar(p_name text, p_calendar jsonb, p_why text) returns daterange
language plpgsql stable
as $$
declare
    v_days constant jsonb := case when jsonb_typeof(p_calendar -> 'days') = 'array' then p_calendar -> 'days' else '[]' end;
    v_faults text[] := pgdial.name_faults('a calendar', p_name) || pgdial.why_faults(p_why)
        || pgdial.unknown_fields(p_calendar, array['firstDay', 'lastDay', 'source', 'days']);
    v_first date;
    v_last date;
    v_field text;
begin
    foreach v_field in array array['firstDay', 'lastDay'] loop
        if p_calendar ? v_field and pgdial.read_day(p_calendar ->> v_field) is null then
            v_faults := v_faults || format('"%s" must be a day, as in "2026-01-01"', v_field);
        end if;
    end loop;
    if jsonb_typeof(p_calendar -> 'source') <> 'string' or length(p_calendar ->> 'source') > 1000 then
        v_faults := v_faults || '"source" must be a string of at most 1000 characters'::text;
    end if;
    if jsonb_typeof(p_calendar -> 'days') is distinct from 'array' then
        v_faults := v_faults || '"days" must be a list, as in [{"day": "2026-12-25", "name": "Christmas Day"}]'::text;
    elsif jsonb_array_length(v_days) > 5000 then
        v_faults := v_faults || '"days" has at most 5000 entries'::text;
    end if;
    v_first := coalesce(pgdial.read_day(p_calendar ->> 'firstDay'), (
        select date_trunc('year', min(pgdial.read_day(e ->> 'day')))::date from jsonb_array_elements(v_days) e));
    v_last := coalesce(pgdial.read_day(p_calendar ->> 'lastDay'), (
        select (date_trunc('year', max(pgdial.read_day(e ->> 'day'))) + '1 year - 1 day'::interval)::date from jsonb_array_elements(v_days) e));
    if v_faults = '{}' and (v_first is null or v_last is null) then
        v_faults := v_faults || '"firstDay" and "lastDay" are needed where there are no days'::text;
    elsif v_first > v_last then
        v_faults := v_faults || '"lastDay" must not lie before "firstDay"'::text;
    end if;
    v_faults := v_faults || array(
        select format('"days": entry %s %s', d.n, d.problem)
        from (select e.n, case
                  when jsonb_typeof(e.entry) <> 'object' then 'must be an object, as in {"day": "2026-12-25", "name": "Christmas Day"}'
                  when pgdial.read_day(e.entry ->> 'day') is null then 'needs a "day", as in "2026-12-25"'
                  when jsonb_typeof(e.entry -> 'hours') not in ('string', 'null') then 'has "hours" that are no text, as in "09:00-12:00"'
                  when jsonb_typeof(e.entry -> 'name') <> 'string' or coalesce(e.entry ->> 'name', '') !~ '[^[:space:]]' or length(e.entry ->> 'name') > 200 then
                      'needs a "name" of at most 200 characters'
                  when (e.entry - 'day' - 'name' - 'hours') <> '{}' then 'has an unknown field: known are day, name, hours'
                  when pgdial.slots_problem(e.entry ->> 'hours') is not null then pgdial.slots_problem(e.entry ->> 'hours')
                  when pgdial.read_day(e.entry ->> 'day') not between v_first and v_last then
                      format('is %s, outside "firstDay" and "lastDay"', e.entry ->> 'day')
                  when count(*) over (partition by pgdial.read_day(e.entry ->> 'day')) > 1 then
                      format('is %s, which another entry is too', e.entry ->> 'day') end as problem
              from jsonb_array_elements(v_days) with ordinality e (entry, n)) d
        where d.problem is not null order by d.n limit 100);
    perform pgdial.refuse(v_faults);
    return daterange(v_first, v_last, '[]');
end $$;

-- slots_problem: null if it is null, or read_slots can read it.
create or replace function pgdial.slots_problem(p_text text) returns text
language plpgsql immutable
as $$
begin
    if p_text is not null then
        perform pgdial.read_slots(p_text);
    end if;
    return null;
exception when invalid_parameter_value then
    return 'has ' || sqlerrm;
end $$;

-- read_day: a day as ISO 8601 writes it; null if it is none.
create or replace function pgdial.read_day(p_text text) returns date
language plpgsql immutable
as $$
begin
    return case when p_text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then make_date(
        substr(p_text, 1, 4)::int, substr(p_text, 6, 2)::int, substr(p_text, 9, 2)::int) end;
exception when datetime_field_overflow then
    return null;
end $$;

-- delete_calendar: returns deleted, not_found, or in_use by these calling hours.
create or replace function pgdial.delete_calendar(
    p_name text, p_why text default null, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    begin
        delete from pgdial.calendars c where c.name = p_name;
        verdict := case when found then 'deleted' else 'not_found' end;
    exception when foreign_key_violation then
        verdict := 'in_use';
        used_by := pgdial.users_of_calendar(p_name);
    end;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

-- users_of_calendar: the calling hours that name it, for themselves or for a region.
create or replace function pgdial.users_of_calendar(p_calendar text) returns text[]
language plpgsql stable
as $$
begin
    return array(select h.name from pgdial.calling_hours h where h.calendar = p_calendar
                 union select r.hours from pgdial.calling_hours_regions r where r.calendar = p_calendar order by 1);
end $$;

-- name_faults: what is wrong with a new name.
create or replace function pgdial.name_faults(p_what text, p_name text) returns text[]
language plpgsql immutable
as $$
begin
    return case when coalesce(p_name, '') ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$' then '{}'::text[] else array[format(
        '"name" of %s has 1 to 63 lower-case letters, digits and any of - _ . @, the first a letter or a digit, as in us-sales', p_what)] end;
end $$;

-- why_faults: what is wrong with a reason.
create or replace function pgdial.why_faults(p_why text) returns text[]
language plpgsql immutable
as $$
begin
    return case when p_why !~ '[^[:space:]]' then array['"why" is empty: it is kept with the act']
                when length(p_why) > 500 then array['"why" has at most 500 characters'] else '{}'::text[] end;
end $$;

-- refuse: all faults in one error.
create or replace function pgdial.refuse(p_faults text[]) returns void
language plpgsql immutable
as $$
begin
    if p_faults <> '{}' then
        raise exception '%', array_to_string(p_faults, chr(10)) using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- hours_for: what these hours say of one callee at one instant, without a call: zones and regions that count, reason
-- and message if they are closed, opensAt. p_basis: null = the zone basis of the hours. p_to, p_timezone, p_region: as
-- of a request (US, or US-FL); null = not given.
--   select pgdial.hours_for('us-tcpa', null, '+14155550101', null, null, pgdial.now());
create or replace function pgdial.hours_for(
    p_hours text, p_basis text, p_to text, p_timezone text[], p_region text, p_at timestamptz
) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hours constant text := pgdial.hours_named(p_hours);
    v_basis constant text := pgdial.basis_of(v_hours, p_basis);
    v_region constant text := pgdial.region_part(p_region);
    v_faults text[] := '{}';
    v_phone text;
    v_area pgdial.areas;
begin
    if v_hours is null then
        v_faults := v_faults || format('there are no calling hours "%s"', left(p_hours, 63));
    end if;
    if p_timezone is not null and pgdial.timezone_problem(to_jsonb(p_timezone)) is not null then
        v_faults := v_faults || ('"timezone" is ' || pgdial.timezone_problem(to_jsonb(p_timezone)));
    end if;
    if pgdial.place_problem(p_region) is not null then
        v_faults := v_faults || ('"region" is ' || pgdial.place_problem(p_region));
    elsif p_to is not null then
        v_phone := pgdial.normal_phone(p_to, left(p_region, 2));
        if v_phone is null then
            v_faults := v_faults || ('"to" is ' || pgdial.phone_problem(p_to, left(p_region, 2)));
        end if;
    end if;
    perform pgdial.refuse(v_faults);
    select a.* into v_area from pgdial.areas a where a.id = pgdial.phone_area(v_phone);
    v_area.zones := coalesce(v_area.zones, '{}');
    v_area.regions := coalesce(v_area.regions, '{}');
    v_area.region := v_region;
    v_area.given_zones := coalesce(p_timezone, pgdial.zones_of_region(v_region));
    return (
        select jsonb_build_object(
            'hours', v_hours, 'zoneBasis', v_basis, 'at', p_at, 'open', s.reason is null, 'reason', s.reason, 'message', s.message,
            'opensAt', s.opens_at, 'zones', to_jsonb(array(select distinct z from unnest(pgdial.callee_zones(v_basis, v_area)) z order by z)),
            'regions', to_jsonb(array(select distinct g from unnest(pgdial.callee_regions(v_basis, v_area)) g order by g)))
        from pgdial.place_state(v_hours, pgdial.callee_zones(v_basis, v_area), pgdial.callee_regions(v_basis, v_area), p_at) s);
end $$;
