-- Calling hours: their text, and whether callees may be rung at an instant (P9).
--
-- Only an instant is ever turned into a wall-clock time, which is unique, and never the reverse on a day on which a
-- clock jumps: there a time may be missing or come twice. Nothing is stored that a change of clocks, hours or zones
-- could make false. What is not known is closed.

-- read_hours: "mon-fri 09:00-20:00, sat 09:00-17:00" as minutes of the week from Monday 00:00, half open; "closed"
-- has none. Several slots of a day follow one another: "mon-fri 10:00-13:00 14:00-20:00".
create or replace function pgdial.read_hours(p_text text) returns int4multirange
language plpgsql immutable
as $$
declare
    v_days constant text[] := array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    v_text constant text := pgdial.plain_hours(p_text);
    v_week int4multirange := '{}';
    v_part text;
    v_words text[];
    v_slots int4multirange;
    v_first int;
    v_last int;
begin
    if v_text = 'closed' then
        return v_week;
    end if;
    foreach v_part in array regexp_split_to_array(v_text, '[[:space:]]*,[[:space:]]*') loop
        v_words := regexp_match(v_part, '^(mon|tue|wed|thu|fri|sat|sun)(?: *- *(mon|tue|wed|thu|fri|sat|sun))? +([0-9].*)$');
        if v_words is null then
            raise exception 'hours are written as "mon-fri 09:00-20:00, sat 09:00-17:00", or "closed": "%" is not', left(v_part, 60)
                using errcode = 'invalid_parameter_value';
        end if;
        v_slots := pgdial.read_slots(v_words[3]);
        v_first := array_position(v_days, v_words[1]) - 1;
        v_last := coalesce(array_position(v_days, v_words[2]) - 1, v_first);
        for d in v_first .. v_last + case when v_last < v_first then 7 else 0 end loop
            v_week := v_week + pgdial.shifted(v_slots, d % 7 * 1440);
        end loop;
    end loop;
    return v_week;
end $$;

-- read_slots: "10:00-13:00 14:00-20:00" as minutes of one day; "closed" has none.
create or replace function pgdial.read_slots(p_text text) returns int4multirange
language plpgsql immutable
as $$
declare
    v_text constant text := pgdial.plain_hours(p_text);
    v_slots int4multirange := '{}';
    v_slot text;
    v_words text[];
    v_from int;
    v_until int;
begin
    if v_text = 'closed' then
        return v_slots;
    end if;
    foreach v_slot in array regexp_split_to_array(regexp_replace(v_text, ' *- *', '-', 'g'), ' +') loop
        v_words := regexp_match(v_slot, '^([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})$');
        v_from := v_words[1]::int * 60 + v_words[2]::int;
        v_until := v_words[3]::int * 60 + v_words[4]::int;
        if v_words is null or v_words[2]::int >= 60 or v_words[4]::int >= 60 or v_from > 1440 or v_until > 1440 then
            raise exception 'hours of a day are written as "09:00-20:00", the last as 24:00, or "closed": "%" is not', left(v_slot, 60)
                using errcode = 'invalid_parameter_value';
        elsif v_from % 15 <> 0 or v_until % 15 <> 0 then
            raise exception 'hours begin and end at a quarter of an hour: "%" does not', v_slot
                using errcode = 'invalid_parameter_value';
        elsif v_from >= v_until then
            raise exception 'hours end after they begin, on the same day: "%" does not; what follows midnight is written with the next day', v_slot
                using errcode = 'invalid_parameter_value';
        end if;
        v_slots := v_slots + int4multirange(int4range(v_from, v_until));
    end loop;
    return v_slots;
end $$;

-- plain_hours: with the spaces and dashes of word processors made plain.
create or replace function pgdial.plain_hours(p_text text) returns text
language sql immutable parallel safe
as $$ select btrim(regexp_replace(translate(lower(p_text), chr(8211) || chr(8212), '--'), '[[:space:]' || chr(160) || ']+', ' ', 'g')) $$;

-- hours_text: what read_hours reads, with the days that have the same slots together.
create or replace function pgdial.hours_text(p_week int4multirange) returns text
language plpgsql immutable
as $$
declare
    v_days constant text[] := array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    v_slots text[] := array(select pgdial.slots_text(pgdial.hours_on(p_week, d)) from generate_series(1, 7) d);
    v_parts text[] := '{}';
    v_first int := 1;
begin
    if isempty(p_week) then
        return 'closed';
    end if;
    for d in 1..7 loop
        if d = 7 or v_slots[d + 1] <> v_slots[d] then
            if v_slots[d] <> 'closed' then
                v_parts := v_parts || (v_days[v_first] || case when d > v_first then '-' || v_days[d] else '' end || ' ' || v_slots[d]);
            end if;
            v_first := d + 1;
        end if;
    end loop;
    return array_to_string(v_parts, ', ');
end $$;

-- slots_text: what read_slots reads.
create or replace function pgdial.slots_text(p_slots int4multirange) returns text
language plpgsql immutable
as $$
begin
    return coalesce((
        select string_agg(format('%s:%s-%s:%s', lpad((lower(s) / 60)::text, 2, '0'), lpad((lower(s) % 60)::text, 2, '0'),
                                 lpad((upper(s) / 60)::text, 2, '0'), lpad((upper(s) % 60)::text, 2, '0')), ' ' order by s)
        from unnest(p_slots) s), 'closed');
end $$;

-- shifted: the same ranges, so many minutes later.
create or replace function pgdial.shifted(p_slots int4multirange, p_by int) returns int4multirange
language plpgsql immutable
as $$
begin
    return coalesce((select range_agg(int4range(lower(s) + p_by, upper(s) + p_by)) from unnest(p_slots) s), '{}');
end $$;

-- hours_on: minutes of one day of the week (ISO: Monday = 1).
create or replace function pgdial.hours_on(p_week int4multirange, p_weekday int) returns int4multirange
language plpgsql immutable
as $$
declare
    v_from constant int := (p_weekday - 1) * 1440;
begin
    return pgdial.shifted(p_week * int4multirange(int4range(v_from, v_from + 1440)), -v_from);
end $$;

-- hours_of_day: minutes of that day. special: its name in the calendar, whose hours it then has. A day that the
-- calendar does not cover is not known: is_covered is false, and it has no hours.
create or replace function pgdial.hours_of_day(
    p_week int4multirange, p_calendar text, p_day date,
    out hours int4multirange, out special text, out is_covered boolean
)
language plpgsql stable
as $$
begin
    is_covered := true;
    if p_calendar is not null then
        select d.hours, d.name into hours, special from pgdial.special_days d where d.calendar = p_calendar and d.day = p_day;
        if found then
            return;
        end if;
        is_covered := exists (select from pgdial.calendars c where c.name = p_calendar and c.covers @> p_day);
    end if;
    hours := case when is_covered then pgdial.hours_on(p_week, extract(isodow from p_day)::int) else '{}' end;
end $$;

-- local_times: what the clocks of these zones show. Null where the server does not know a zone, which would
-- otherwise raise: a server may lose a name, for instance in a restore on an older host.
create or replace function pgdial.local_times(p_zones text[], p_at timestamptz) returns timestamp[]
language plpgsql stable
as $$
begin
    return array(select p_at at time zone z from unnest(p_zones) with ordinality u (z, n) order by n);
exception when invalid_parameter_value then
    return array(select pgdial.local_time(z, p_at) from unnest(p_zones) with ordinality u (z, n) order by n);
end $$;

-- local_time: what the clocks of one zone show.
create or replace function pgdial.local_time(p_zone text, p_at timestamptz) returns timestamp
language plpgsql stable
as $$
begin
    return p_at at time zone p_zone;
exception when invalid_parameter_value then
    return null;
end $$;

-- region_rules: the rules that hold in each of these regions. Its own row, else its country's, else the hours
-- themselves, which is what holds where no region is known (''). In a country whose part is not known, the rows of
-- all its parts hold too.
create or replace function pgdial.region_rules(p_hours text, p_regions text[])
returns table (asked text, region text, week int4multirange, timezone text, calendar text)
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_hashjoin = on
as $$
begin
    return query
    with rule as materialized (
        select '' as region, h.week, h.timezone, h.calendar from pgdial.calling_hours h where h.name = p_hours
        union all
        select r.region, r.week, r.timezone, r.calendar from pgdial.calling_hours_regions r where r.hours = p_hours
    ), held as (
        select a.asked, coalesce(own.region, country.region, '') as region
        from unnest(p_regions) a (asked)
             left join rule own on own.region = a.asked left join rule country on country.region = left(a.asked, 2)
        union
        select a.asked, part.region
        from unnest(p_regions) a (asked) join rule part on left(part.region, 2) = a.asked
    )
    select h.asked, r.region, r.week, r.timezone, r.calendar from held h join rule r on r.region = h.region;
end $$;

-- place_rules: the rules that hold where these zones and regions are, each with every zone whose clock it goes by; all
-- of them must be open. Zone null: nobody knows where the callee is.
create or replace function pgdial.place_rules(p_hours text, p_zones text[], p_regions text[])
returns table (region text, zone text, week int4multirange, calendar text)
language plpgsql stable
as $$
begin
    return query
    select distinct r.region, z.zone, r.week, r.calendar
    from pgdial.region_rules(p_hours, pgdial.one_or_none(p_regions)) r
         cross join lateral unnest(case when r.timezone is not null then array[r.timezone]
                                        when p_zones = '{}' then array[null] else p_zones end) z (zone)
    order by r.region, z.zone;
end $$;

-- one_or_none: '' for those of which nothing is known.
create or replace function pgdial.one_or_none(p_names text[]) returns text[]
language sql immutable parallel safe
as $$ select case when p_names = '{}' then '{""}' else p_names end $$;

-- callee_zones, callee_regions: what of an area counts by this basis (calling_hours.zone_basis): what the caller gave,
-- else what the number says; both together; only what the caller gave. A number that says no more than a country, as
-- mobiles and free numbers do, adds nothing to a place within it.
create or replace function pgdial.callee_zones(p_basis text, p_area pgdial.areas) returns text[]
language sql immutable parallel safe
as $$
    select case p_basis when 'given_or_number' then coalesce(p_area.given_zones, p_area.zones)
                        when 'given_and_number' then case when p_area.given_zones <@ p_area.zones then p_area.given_zones
                                                          else array(select unnest(p_area.zones) union select unnest(p_area.given_zones) order by 1) end
                        else coalesce(p_area.given_zones, '{}') end
$$;

create or replace function pgdial.callee_regions(p_basis text, p_area pgdial.areas) returns text[]
language sql immutable parallel safe
as $$
    select case when p_basis = 'given_or_number' and p_area.region is null then p_area.regions
                when p_basis = 'given_and_number' and (p_area.region is null or left(p_area.region, 2) <> all (p_area.regions))
                    then array_remove(array_remove(p_area.regions, p_area.region) || p_area.region, null)
                when p_area.region is null then '{}' else array[p_area.region] end
$$;

-- basis_of: what is set of a campaign, else what its hours say.
create or replace function pgdial.basis_of(p_hours text, p_basis text) returns text
language plpgsql stable
as $$
begin
    return coalesce(p_basis, (select h.zone_basis from pgdial.calling_hours h where h.name = p_hours));
end $$;

-- is_open: may callees in this area be rung at this instant? p_basis null: that of the hours. Without hours, always.
-- Of an area that is not known, and by hours that are gone, never.
create or replace function pgdial.is_open(p_hours text, p_basis text, p_area int, p_at timestamptz) returns boolean
language plpgsql stable
as $$
declare
    v_basis constant text := pgdial.basis_of(p_hours, p_basis);
    v_rule record;
    v_local timestamp;
    v_has_rule boolean := false;
begin
    if p_hours is null then
        return true;
    end if;
    -- Many regions have the same rule.
    for v_rule in select distinct r.zone, r.week, r.calendar
        from pgdial.areas a
             cross join lateral pgdial.place_rules(p_hours, pgdial.callee_zones(v_basis, a), pgdial.callee_regions(v_basis, a)) r
        where a.id = p_area
    loop
        v_has_rule := true;
        v_local := pgdial.local_time(v_rule.zone, p_at);
        if v_local is null or not pgdial.is_open_at(v_rule.week, v_rule.calendar, v_local) then
            return false;
        end if;
    end loop;
    return v_has_rule;
end $$;

-- is_open_at: by one rule, when its clock shows this.
create or replace function pgdial.is_open_at(p_week int4multirange, p_calendar text, p_local timestamp) returns boolean
language plpgsql stable
as $$
begin
    return (pgdial.hours_of_day(p_week, p_calendar, p_local::date)).hours @> pgdial.minute_of(p_local);
end $$;

-- minute_of: of its day. The minute that has begun: rounded, a fraction of a second before nine would be nine.
create or replace function pgdial.minute_of(p_local timestamp) returns int
language sql immutable parallel safe
as $$ select floor(extract(epoch from p_local - date_trunc('day', p_local)) / 60)::int $$;

-- open_areas: the areas that are open at both instants, all at once: the claim asks it. The same rules as is_open, but
-- few clocks differ, and few rules: so each rule is judged once for each clock, and an area is closed if one of its
-- clocks is among those at which a rule of one of its regions is.
create or replace function pgdial.open_areas(p_hours text, p_basis text, p_from timestamptz, p_until timestamptz) returns int[]
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_hashjoin = on
as $$
declare
    v_basis constant text := pgdial.basis_of(p_hours, p_basis);
    v_zones constant text[] := array(
        select z from pgdial.areas a cross join lateral unnest(pgdial.callee_zones(v_basis, a)) z
        union select h.timezone from pgdial.calling_hours h where h.name = p_hours
        union select r.timezone from pgdial.calling_hours_regions r where r.hours = p_hours);
    v_from constant timestamp[] := pgdial.local_times(v_zones, p_from);
    v_until constant timestamp[] := pgdial.local_times(v_zones, p_until);
begin
    return array(
        with zone as materialized (
            select z.name, dense_rank() over (order by z.at_first, z.at_last)::int as clock, z.at_first, z.at_last
            from unnest(v_zones || ''::text, v_from, v_until) z (name, at_first, at_last)   -- '': no zone is known
        ), clock as materialized (
            select distinct z.clock, z.at_first::date as first_day, pgdial.minute_of(z.at_first) as first_minute,
                            z.at_last::date as last_day, pgdial.minute_of(z.at_last) as last_minute
            from zone z
        ), held as materialized (
            select r.*, dense_rank() over (order by r.week, r.timezone, r.calendar) as rule
            from pgdial.region_rules(p_hours, array(
                select distinct g
                from pgdial.areas a cross join lateral unnest(pgdial.one_or_none(pgdial.callee_regions(v_basis, a))) g)) r
        ), rule as materialized (
            select distinct h.rule, h.week, h.timezone, h.calendar from held h
        ), day as materialized (
            select r.rule, d.day, o.hours
            from rule r cross join (select c.first_day from clock c union select c.last_day from clock c) d (day)
                 cross join lateral pgdial.hours_of_day(r.week, r.calendar, d.day) o
            where d.day is not null
        ), closed as materialized (
            select r.rule, bool_or(r.timezone is not null) as everywhere, array_agg(c.clock) as clocks
            from rule r left join zone own on own.name = r.timezone
                 join clock c on c.clock = coalesce(own.clock, c.clock)
                 left join day f on f.rule = r.rule and f.day = c.first_day
                 left join day l on l.rule = r.rule and l.day = c.last_day
            where not coalesce(f.hours @> c.first_minute and l.hours @> c.last_minute, false)
            group by r.rule
        ), region as materialized (
            select h.asked, c.everywhere, c.clocks from held h join closed c on c.rule = h.rule
        ), place as materialized (
            select a.id, pgdial.callee_regions(v_basis, a) as regions, array_agg(z.clock) as clocks
            from pgdial.areas a
                 cross join lateral unnest(pgdial.one_or_none(pgdial.callee_zones(v_basis, a))) n (name)
                 join zone z on z.name = n.name
            group by a.id
        )
        -- "not in": hashed.
        select p.id from place p
        where exists (select from held) and p.id not in (
            select q.id
            from place q cross join lateral unnest(pgdial.one_or_none(q.regions)) g (region)
                 join region r on r.asked = g.region and (r.everywhere or r.clocks && q.clocks))
        order by p.id);
end $$;

-- next_open: the first instant from p_from on at which the area is open; null = not within 60 days, or not known.
create or replace function pgdial.next_open(p_hours text, p_basis text, p_area int, p_from timestamptz) returns timestamptz
language plpgsql stable
as $$
declare
    v_basis constant text := pgdial.basis_of(p_hours, p_basis);
begin
    if p_hours is null then
        return p_from;
    end if;
    return (
        select o.at
        from pgdial.areas a
             cross join lateral pgdial.opening(p_hours, pgdial.callee_zones(v_basis, a), pgdial.callee_regions(v_basis, a), p_from) o
        where a.id = p_area);
end $$;

-- opening: next_open of a place, and whose clock it waits for; zone null: open at p_from.
create or replace function pgdial.opening(
    p_hours text, p_zones text[], p_regions text[], p_from timestamptz, out at timestamptz, out zone text
)
language plpgsql stable
as $$
declare
    v_zones text[];
    v_weeks int4multirange[];
    v_calendars text[];
    v_next timestamptz;
    v_moved boolean;
begin
    -- Many regions have the same rule.
    select array_agg(r.zone), array_agg(r.week), array_agg(r.calendar) into v_zones, v_weeks, v_calendars
    from (select distinct p.zone, p.week, p.calendar from pgdial.place_rules(p_hours, p_zones, p_regions) p) r;
    if v_zones is null or array_position(v_zones, null) is not null then
        return;
    end if;
    at := p_from;
    -- From each rule's opening to the next one's, until none is closed.
    loop
        v_moved := false;
        for i in 1..cardinality(v_zones) loop
            v_next := pgdial.rule_opens(v_weeks[i], v_calendars[i], v_zones[i], at, p_from + '60 days'::interval);
            if v_next is null then
                at := null;
                zone := null;
                return;
            elsif v_next > at then
                at := v_next;
                zone := v_zones[i];
                v_moved := true;
            end if;
        end loop;
        exit when not v_moved;
    end loop;
exception when invalid_parameter_value then   -- the server does not know a zone
    at := null;
    zone := null;
end $$;

-- rule_opens: next_open by one rule and one clock.
-- A day of 24 hours is the sum of its midnight and the minutes. Any other, and one whose midnight comes twice, is
-- walked by quarters: hours and the offsets of zones are multiples of them.
create or replace function pgdial.rule_opens(
    p_week int4multirange, p_calendar text, p_zone text, p_from timestamptz, p_until timestamptz
) returns timestamptz
language plpgsql stable
as $$
declare
    v_quarter constant interval := '15 minutes';
    v_day date := (p_from at time zone p_zone)::date;
    v_begins timestamptz := v_day::timestamp at time zone p_zone;
    v_ends timestamptz;
    v_at timestamptz;
begin
    while greatest(v_begins, p_from) <= p_until loop
        v_ends := (v_day + 1)::timestamp at time zone p_zone;
        if v_ends - v_begins = '24 hours'::interval and ((v_begins - v_quarter) at time zone p_zone)::date < v_day then
            select min(greatest(p_from, v_begins + lower(s) * '1 minute'::interval)) into v_at
            from unnest((pgdial.hours_of_day(p_week, p_calendar, v_day)).hours) s
            where v_begins + upper(s) * '1 minute'::interval > p_from;
        else
            -- From before the first of two midnights.
            v_at := greatest(p_from, v_begins - '3 hours'::interval);
            while v_at < v_ends and not pgdial.is_open_at(p_week, p_calendar, v_at at time zone p_zone) loop
                v_at := date_bin(v_quarter, v_at, 'epoch') + v_quarter;
            end loop;
            v_at := case when v_at < v_ends then v_at end;
        end if;
        if v_at is not null then
            return case when v_at <= p_until then v_at end;
        end if;
        v_day := v_day + 1;
        v_begins := v_ends;
    end loop;
    return null;
end $$;

-- hours_state: why callees in this area may not be rung at this instant, and when they may. reason null: they may;
-- else outside_hours, holiday, zone_unknown or calendar_ended: of several, the one that will least pass by itself.
create or replace function pgdial.hours_state(
    p_hours text, p_basis text, p_area int, p_at timestamptz, out reason text, out message text, out opens_at timestamptz
)
language plpgsql stable
as $$
declare
    v_basis constant text := pgdial.basis_of(p_hours, p_basis);
begin
    if p_hours is null then
        opens_at := p_at;
        return;
    end if;
    select s.reason, s.message, s.opens_at into reason, message, opens_at
    from pgdial.areas a
         cross join lateral pgdial.place_state(p_hours, pgdial.callee_zones(v_basis, a), pgdial.callee_regions(v_basis, a), p_at) s
    where a.id = p_area;
    if not found then
        reason := 'zone_unknown';
        message := format('where it rings has not been looked up for calling hours %s: the sweep does that', p_hours);
    end if;
end $$;

-- place_state: hours_state of a place.
create or replace function pgdial.place_state(
    p_hours text, p_zones text[], p_regions text[], p_at timestamptz, out reason text, out message text, out opens_at timestamptz
)
language plpgsql stable
as $$
declare
    v_rules constant jsonb := pgdial.closed_rules(p_hours, p_zones, p_regions, p_at);
    v_first constant jsonb := v_rules -> 0;
    v_opening record;
    v_name text;
    v_clocks text;
begin
    if v_rules = '[]' then
        opens_at := p_at;
        return;
    end if;
    reason := v_first ->> 'reason';
    v_name := 'calling hours ' || p_hours || coalesce(' (' || nullif(v_first ->> 'region', '') || ')', '');
    -- The clocks by which the same rule is closed on the same day, at most three.
    select 'it is ' || string_agg(format('%s in %s', to_char(c.local, 'Dy HH24:MI'), c.zone), ', ' order by c.n) filter (where c.n <= 3)
           || case when count(*) > 3 then format(' and %s more', count(*) - 3) else '' end
    into v_clocks
    from (select (r.rule ->> 'local')::timestamp as local, r.rule ->> 'zone' as zone, row_number() over (order by r.n) as n
          from jsonb_array_elements(v_rules) with ordinality r (rule, n)
          where (r.rule ->> 'reason', r.rule ->> 'region', r.rule ->> 'day') = (reason, v_first ->> 'region', v_first ->> 'day')) c;
    message := case reason
        when 'zone_unknown' then case
            when v_first ->> 'zone' is not null then format('the server does not know the timezone %s, so %s are closed there: '
                'its zones are older than those of whoever wrote it', v_first ->> 'zone', v_name)
            else format('nothing says in which timezone it rings, so %s are closed: give it one', v_name) end
        when 'calendar_ended' then format('%s: calendar %s of %s does not cover %s: set it with the days that it lacks',
            v_clocks, v_first ->> 'calendar', v_name, v_first ->> 'day')
        when 'holiday' then format('%s: by %s it is %s, %s', v_clocks, v_name, v_first ->> 'special', v_first ->> 'hours')
        else case when v_first ->> 'day' is null then format('there are no %s', v_name)
                  else format('%s: %s are %s on %ss', v_clocks, v_name, v_first ->> 'hours',
                              to_char((v_first ->> 'day')::date, 'FMDay')) end end;
    select * into v_opening from pgdial.opening(p_hours, p_zones, p_regions, p_at);
    opens_at := v_opening.at;
    if opens_at is not null then
        message := message || format('; opens at %s (%s in %s)', pgdial.in_utc(opens_at),
                                     to_char(opens_at at time zone v_opening.zone, 'Dy HH24:MI'), v_opening.zone);
    elsif reason in ('holiday', 'outside_hours') and v_clocks is not null then
        message := message || '; it does not open within 60 days'
            || case when cardinality(p_zones) > 1 then ' in all of them at once: give it a timezone' else '' end;
    end if;
end $$;

-- closed_rules: the rules that close a place at this instant, in the order in which place_state tells them.
create or replace function pgdial.closed_rules(p_hours text, p_zones text[], p_regions text[], p_at timestamptz) returns jsonb
language plpgsql stable
as $$
begin
    if not exists (select from pgdial.calling_hours h where h.name = p_hours) then
        return jsonb_build_array(jsonb_build_object('reason', 'outside_hours'));
    end if;
    return coalesce((
        select jsonb_agg(jsonb_build_object(
                   'reason', j.reason, 'region', j.region, 'zone', j.zone, 'local', j.local, 'day', j.local::date,
                   'calendar', j.calendar, 'special', j.special, 'hours', pgdial.slots_text(j.hours))
               order by array_position(array['zone_unknown', 'calendar_ended', 'holiday', 'outside_hours'], j.reason), j.region, j.local, j.zone)
        from (select r.region, r.zone, l.local, r.calendar, d.special, d.hours,
                     case when l.local is null then 'zone_unknown'
                          when not d.is_covered then 'calendar_ended'
                          when d.hours @> pgdial.minute_of(l.local) then null
                          when d.special is not null then 'holiday'
                          else 'outside_hours' end as reason
              from pgdial.place_rules(p_hours, p_zones, p_regions) r
                   cross join lateral (select pgdial.local_time(r.zone, p_at)) l (local)
                   left join lateral pgdial.hours_of_day(r.week, r.calendar, l.local::date) d on l.local is not null) j
        where j.reason is not null), '[]');
end $$;

-- note_rules: after each statement on a table that calling hours are judged by: what sessions remember of them is void
-- (rules_version), workers are woken, and one act per calendar or calling hours is recorded, whoever changed them, as note_change does.
-- Arguments: the kind of act and the column that names its object; for a table of parts, the column that names a
-- part, and what the parts are called.
create or replace function pgdial.note_rules() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_old jsonb := '[]';
    v_new jsonb := '[]';
    v_act record;
begin
    if tg_op <> 'INSERT' then
        v_old := coalesce((select jsonb_agg(to_jsonb(r)) from old_rows r), '[]');
    end if;
    if tg_op <> 'DELETE' then
        v_new := coalesce((select jsonb_agg(to_jsonb(r)) from new_rows r), '[]');
    end if;
    if v_old = v_new then
        return null;
    end if;
    update pgdial.rules_version set version = version + 1;
    perform pg_notify('pgdial_wake', 'claim');
    for v_act in
        with entry as (
            select o.r ->> tg_argv[1] as name, coalesce(f.part, f.field) as entry, true as is_old, f.value
            from jsonb_array_elements(v_old) o (r) cross join lateral pgdial.rules_fields(o.r, tg_argv[1], tg_argv[2]) f
            union all
            select n.r ->> tg_argv[1], coalesce(f.part, f.field), false, f.value
            from jsonb_array_elements(v_new) n (r) cross join lateral pgdial.rules_fields(n.r, tg_argv[1], tg_argv[2]) f
        ), change as (
            select c.name, c.entry, c.old, c.new
            from (select e.name, e.entry, (array_agg(e.value) filter (where e.is_old))[1] as old,
                         (array_agg(e.value) filter (where not e.is_old))[1] as new
                  from entry e group by e.name, e.entry) c
            where c.old is distinct from c.new
        )
        select c.name, jsonb_object_agg(c.entry, case when c.old is null then c.new
                                                      when tg_op = 'DELETE' and tg_nargs = 2 then c.old
                                                      else jsonb_build_array(c.old, c.new) end) as changes
        from change c group by c.name
    loop
        perform pgdial.note_act(
            case when tg_nargs > 2 or tg_op = 'UPDATE' then 'set' when tg_op = 'INSERT' then 'create' else 'remove' end,
            tg_argv[0], v_act.name, current_setting('pgdial.by', true), current_setting('pgdial.why', true),
            case when tg_nargs > 2 then jsonb_build_object(tg_argv[3], v_act.changes) else v_act.changes end);
    end loop;
    return null;
end $$;

-- rules_fields: a row of such a table as acts show it: each field, or the whole as one part.
create or replace function pgdial.rules_fields(p_row jsonb, p_name text, p_part text)
returns table (part text, field text, value jsonb)
language plpgsql immutable
as $$
declare
    v_fields constant jsonb := (
        select jsonb_object_agg(pgdial.camel(r.key), case
            when r.key = 'week' then to_jsonb(pgdial.hours_text((r.value #>> '{}')::int4multirange))
            when r.key = 'hours' then to_jsonb(pgdial.slots_text((r.value #>> '{}')::int4multirange))
            else r.value end)
        from jsonb_each(jsonb_strip_nulls(p_row)) r where r.key not in (p_name, coalesce(p_part, '')));
begin
    if p_part is not null then
        return query select p_row ->> p_part, null::text, v_fields;
    else
        return query select null::text, f.key, f.value from jsonb_each(v_fields) f;
    end if;
end $$;

-- note_area: a new area is one that no session has judged.
create or replace function pgdial.note_area() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgdial.rules_version set version = version + 1;
    return null;
end $$;

-- Not for each statement: most that intern an area find it there.
create or replace trigger note_area after insert or update or delete on pgdial.areas
    for each row execute function pgdial.note_area();

create or replace trigger note_rules_new after insert on pgdial.calendars referencing new table as new_rows
    for each statement execute function pgdial.note_rules('calendar', 'name');
create or replace trigger note_rules_set after update on pgdial.calendars referencing old table as old_rows new table as new_rows
    for each statement execute function pgdial.note_rules('calendar', 'name');
create or replace trigger note_rules_gone after delete on pgdial.calendars referencing old table as old_rows
    for each statement execute function pgdial.note_rules('calendar', 'name');
create or replace trigger note_rules_new after insert on pgdial.special_days referencing new table as new_rows
    for each statement execute function pgdial.note_rules('calendar', 'calendar', 'day', 'days');
create or replace trigger note_rules_set after update on pgdial.special_days referencing old table as old_rows new table as new_rows
    for each statement execute function pgdial.note_rules('calendar', 'calendar', 'day', 'days');
create or replace trigger note_rules_gone after delete on pgdial.special_days referencing old table as old_rows
    for each statement execute function pgdial.note_rules('calendar', 'calendar', 'day', 'days');
create or replace trigger note_rules_new after insert on pgdial.calling_hours referencing new table as new_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'name');
create or replace trigger note_rules_set after update on pgdial.calling_hours referencing old table as old_rows new table as new_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'name');
create or replace trigger note_rules_gone after delete on pgdial.calling_hours referencing old table as old_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'name');
create or replace trigger note_rules_new after insert on pgdial.calling_hours_regions referencing new table as new_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'hours', 'region', 'regions');
create or replace trigger note_rules_set after update on pgdial.calling_hours_regions referencing old table as old_rows new table as new_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'hours', 'region', 'regions');
create or replace trigger note_rules_gone after delete on pgdial.calling_hours_regions referencing old table as old_rows
    for each statement execute function pgdial.note_rules('calling_hours', 'hours', 'region', 'regions');
