-- The area of a call: what is known of the place where its callee may be. The number says it (phone_area), and the
-- caller may (timezone, region).
--
-- An enqueue only reads areas. A combination that nobody has had yet leaves the call without an area, and the sweep
-- adds it: the row of an area that another transaction has not committed would hold up every enqueue that needs it.

-- area_of: the area of a call; 0: to be looked up by the sweep.
create or replace function pgdial.area_of(p_phone text, p_timezone text[], p_region text) returns int
language plpgsql stable
as $$
declare
    v_area constant int := pgdial.phone_area(p_phone);
begin
    if p_timezone is null and p_region is null then
        return v_area;
    end if;
    return coalesce((
        select g.id from pgdial.areas n join pgdial.areas g on g.zones = n.zones and g.regions = n.regions
        where n.id = v_area and g.timezone is not distinct from p_timezone and g.region is not distinct from p_region), 0);
end $$;

-- with_place: the area of a number with what a caller says of the place.
create or replace function pgdial.with_place(p_number pgdial.areas, p_timezone text[], p_region text) returns pgdial.areas
language plpgsql stable
as $$
begin
    p_number.timezone := p_timezone;
    p_number.region := p_region;
    p_number.given_zones := coalesce(p_timezone, pgdial.zones_of_region(p_region));
    return p_number;
end $$;

-- intern_area: the same as area_of, and the area is added if nobody has had it yet.
-- Races: two sweeps may add the same one; the second waits for the first, whose transaction is short.
create or replace function pgdial.intern_area(p_phone text, p_timezone text[], p_region text) returns int
language plpgsql volatile
as $$
declare
    v_area int := pgdial.area_of(p_phone, p_timezone, p_region);
    v_number pgdial.areas;
begin
    if v_area = 0 then
        select a.* into v_number from pgdial.areas a where a.id = pgdial.phone_area(p_phone);
        v_number := pgdial.with_place(v_number, p_timezone, p_region);
        insert into pgdial.areas (zones, regions, timezone, region, given_zones)
        values (v_number.zones, v_number.regions, v_number.timezone, v_number.region, v_number.given_zones)
        on conflict do nothing;
        v_area := pgdial.area_of(p_phone, p_timezone, p_region);
    end if;
    return v_area;
end $$;

-- zones_of_region: every zone that numbers of this part of a country may be in; where numbers do not tell parts,
-- those of the country.
create or replace function pgdial.zones_of_region(p_region text) returns text[]
language sql stable
as $$
    select array_agg(distinct z order by z)
    from pgdial.areas a cross join unnest(a.zones) z
    where a.timezone is null and a.region is null
      and case when exists (select from pgdial.areas e where e.regions = array[p_region] and e.timezone is null and e.region is null)
               then a.regions = array[p_region] else a.regions = array[left(p_region, 2)] end
$$;

-- region_part: the part of a country that a request names (US-FL); null: none. A country alone only says how to
-- read its numbers.
create or replace function pgdial.region_part(p_region text) returns text
language sql immutable parallel safe
as $$ select case when p_region like '%-%' then upper(p_region collate "C") end $$;

-- place_problem: null if the region of a request is valid.
create or replace function pgdial.place_problem(p_region text) returns text
language plpgsql stable
as $$
begin
    if pgdial.region_problem(split_part(p_region, '-', 1)) is not null then
        return 'not a country: write the two letters that ISO 3166 has for it, as in US or GB, or with a part of it, as in US-FL';
    elsif p_region like '%-%' and (upper(p_region collate "C") !~ '^[A-Z]{2}-[A-Z0-9]{1,3}$'
            -- Where numbers tell parts, all of them are known: a part that does not exist has no rules.
            or exists (select from pgdial.areas a cross join unnest(a.regions) r where r like upper(left(p_region, 2)) || '-%')
               and not exists (select from pgdial.areas a where a.regions @> array[upper(p_region)] and a.timezone is null)) then
        return format('not a part of %s: write it as ISO 3166 does, as in US-FL or DE-BY', upper(left(p_region, 2)));
    end if;
    return null;
end $$;

-- read_timezones: the zones of a request, sorted; null if there are none.
create or replace function pgdial.read_timezones(p_timezone jsonb) returns text[]
language sql immutable parallel safe
as $$
    select case jsonb_typeof(p_timezone)
        when 'string' then array[p_timezone #>> '{}']
        when 'array' then (select array_agg(distinct z order by z) from jsonb_array_elements_text(p_timezone) z) end
$$;

-- timezone_problem: null if each is a zone that this server knows by its name. Abbreviations have no summer time,
-- and mean different places. Nor digits, but in Etc/GMT+5: Postgres takes New_York5 for a rule of its own, five hours
-- behind.
create or replace function pgdial.timezone_problem(p_timezone jsonb) returns text
language plpgsql stable
as $$
declare
    v_zone text;
begin
    if jsonb_typeof(p_timezone) not in ('string', 'array')
       or jsonb_typeof(p_timezone) = 'array' and (jsonb_array_length(p_timezone) not between 1 and 20
           or jsonb_path_exists(p_timezone, '$[*] ? (@.type() != "string")')) then
        return 'an IANA time zone, or a list of at most 20, as in "America/New_York"';
    end if;
    foreach v_zone in array pgdial.read_timezones(p_timezone) loop
        begin
            if v_zone !~ '^([A-Z][A-Za-z]+(/[A-Za-z_-]+){1,2}|Etc/GMT[+-][0-9]{1,2}|UTC)$' or clock_timestamp() at time zone v_zone is null then
                raise invalid_parameter_value;
            end if;
        exception when invalid_parameter_value then
            return format('no IANA time zone that the database knows: "%s", where one is written as in "America/New_York"', left(v_zone, 60));
        end;
    end loop;
    return null;
end $$;

-- areas_open: the areas in which a dial that begins now, and may take p_lease, stays within these calling hours.
-- Judged once for each quarter of an hour, which is where hours and offsets change, and remembered by the session;
-- void as soon as a rule or an area changes (rules_version).
-- Races: the version is read before the rules, so a change between the two is judged again with the next claim.
create or replace function pgdial.areas_open(p_hours text, p_basis text, p_now timestamptz, p_lease interval) returns int[]
language plpgsql volatile
as $$
declare
    v_setting constant text := 'pgdial.open_' || md5(p_hours || ' ' || coalesce(p_basis, ''));
    v_known constant text := current_setting(v_setting, true);
    v_key constant text := format('%s/%s/%s ', (select r.version from pgdial.rules_version r),
        floor(extract(epoch from p_now) / 900), floor(extract(epoch from p_now + p_lease) / 900));
    v_open int[];
begin
    if starts_with(v_known, v_key) then
        return substr(v_known, length(v_key) + 1)::int[];
    end if;
    v_open := pgdial.open_areas(p_hours, p_basis, p_now, p_now + p_lease);
    perform set_config(v_setting, v_key || v_open::text, false);
    return v_open;
end $$;

-- area_heads: the first due call of the areas of one campaign and priority that are open, the oldest first; of at
-- most p_most areas. By jumping along the index. It begins anywhere, so that no area waits behind the others for
-- ever where there are more than p_most.
-- Index: calls_claimable_by_area.
create or replace function pgdial.area_heads(
    p_campaign text, p_priority smallint, p_open int[], p_most int, p_now timestamptz
) returns pgdial.area_head[]
language plpgsql volatile
as $$
declare
    v_start constant int := floor(random() * p_open[cardinality(p_open)]);     -- sorted
    v_after int := v_start;
    v_wrapped boolean := false;
    v_head pgdial.area_head;
    v_heads pgdial.area_head[] := '{}';
begin
    loop
        select c.area, c.run_at into v_head from pgdial.calls c
        where c.state = 'waiting' and c.campaign = p_campaign and c.priority = p_priority and c.area > v_after
        order by c.area, c.run_at limit 1;
        if not found or v_wrapped and v_head.area > v_start then
            exit when v_wrapped or coalesce(v_start, 0) = 0;
            v_wrapped := true;
            v_after := 0;
            continue;
        end if;
        if v_head.run_at <= p_now and v_head.area = any (p_open) then
            v_heads := v_heads || v_head;
        end if;
        v_after := v_head.area;
        exit when cardinality(v_heads) >= p_most;
    end loop;
    return array(select h from unnest(v_heads) h order by h.run_at);
end $$;

-- shut: campaigns that had no due call in an open area when last asked, when that was, and until when that need not be
-- asked again.
create or replace function pgdial.shut(p_now timestamptz) returns pgdial.shut[]
language plpgsql stable
as $$
declare
    v_known constant text := nullif(current_setting('pgdial.shut', true), '');
begin
    if v_known is null then
        return '{}';
    end if;
    -- Ignored if it is too far in the future: the clock has gone back.
    return array(select s from unnest(v_known::pgdial.shut[]) s where s.until > p_now and s.until <= p_now + '1 second'::interval);
end $$;

-- shut_out: this campaign need not be asked for twenty times as long as it took: so the walks through the areas of
-- many campaigns cost a twentieth of the time at most.
create or replace function pgdial.shut_out(p_campaign text, p_took interval, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    perform set_config('pgdial.shut', (array(
        select s from unnest(pgdial.shut(p_now)) s where s.campaign <> p_campaign)
        || row(p_campaign, p_now, p_now + least(p_took * 20, '1 second'::interval))::pgdial.shut)::text, false);
end $$;

-- longest_lease: how long a dial of this trunk may take (the claim's p_leases), as far as its adapter says.
create or replace function pgdial.longest_lease(p_trunk text) returns interval
language plpgsql stable
as $$
begin
    return coalesce((
        select greatest('1 minute', '30 seconds' + (a.declares ->> 'placeTimeout')::interval)
        from pgdial.trunk_adapter a where a.trunk = p_trunk), '1 minute');
end $$;

-- next_quarter: when hours may open next.
create or replace function pgdial.next_quarter(p_now timestamptz) returns timestamptz
language sql immutable parallel safe
as $$ select to_timestamp((floor(extract(epoch from p_now) / 900) + 1) * 900) $$;

-- is_within_hours: may this call be dialled at both instants, as far as the hours of its campaign go?
create or replace function pgdial.is_within_hours(p_call pgdial.calls, p_from timestamptz, p_until timestamptz) returns boolean
language sql stable
as $$
    select coalesce((
        select g.calling_hours is null
            or pgdial.is_open(g.calling_hours, g.zone_basis, p_call.area, p_from)
               and pgdial.is_open(g.calling_hours, g.zone_basis, p_call.area, p_until)
        from pgdial.campaigns g where g.name = p_call.campaign), false)
$$;
