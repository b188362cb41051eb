-- set_contact_limit, delete_contact_limit: set or delete how often a number may be rung (contact_limits).
-- A change holds from the next claim on. Calls that are put aside stay so until their limit lets them, or a recheck
-- (recheck_matching).
-- p_by, p_why: for the audit (acts).
-- set: the limit as a whole; omitted fields take their defaults. Returns whether it is new.
-- delete: returns deleted, not_found, or in_use by these campaigns.
--   select pgdial.set_contact_limit('two-a-day', '{"counts": "attempts", "atMost": 2, "period": "24 hours"}');
--   select * from pgdial.delete_contact_limit('two-a-day');
create or replace function pgdial.set_contact_limit(
    p_name text, p_limit jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_created boolean;
begin
    perform pgdial.check_contact_limit(p_name, p_limit, p_why);
    insert into pgdial.contact_limits as l (name, counts, at_most, period, boundary, per, regions, all_campaigns, source)
    values (p_name, p_limit ->> 'counts', coalesce((p_limit ->> 'atMost')::int, 1), (p_limit ->> 'period')::interval,
            coalesce(p_limit ->> 'boundary', 'rolling'), coalesce(p_limit ->> 'per', 'number'),
            case when jsonb_typeof(p_limit -> 'regions') = 'array'
                 then array(select r from jsonb_array_elements_text(p_limit -> 'regions') r order by r) end,
            coalesce((p_limit ->> 'allCampaigns')::boolean, false), p_limit ->> 'source')
    on conflict (name) do update
    set counts = excluded.counts, at_most = excluded.at_most, period = excluded.period, boundary = excluded.boundary,
        per = excluded.per, regions = excluded.regions, all_campaigns = excluded.all_campaigns, source = excluded.source
    returning l.xmax = '0'::xid into v_created;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_created;
end $$;

create or replace function pgdial.delete_contact_limit(
    p_name text, p_why text default null, p_by text default session_user, out verdict text, out used_by text[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    perform from pgdial.contact_limits l where l.name = p_name for update;
    verdict := case when found then 'deleted' else 'not_found' end;
    used_by := array(select g.name from pgdial.campaigns g where g.contact_limits @> array[p_name] order by g.name);
    if used_by <> '{}' then
        verdict := 'in_use';
    else
        delete from pgdial.contact_limits l where l.name = p_name;
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
end $$;

-- check_contact_limit: everything that is wrong with a limit, one fault per line. The table's constraints would
-- refuse the same, but not say what to do.
create or replace function pgdial.check_contact_limit(p_name text, p_limit jsonb, p_why text) returns void
language plpgsql stable
as $$
declare
    v_period constant text := p_limit ->> 'period';
    v_boundary constant text := coalesce(p_limit ->> 'boundary', 'rolling');
begin
    perform pgdial.refuse(pgdial.name_faults('a contact limit', p_name) || pgdial.why_faults(p_why)
        || pgdial.unknown_fields(p_limit, array['counts', 'atMost', 'period', 'boundary', 'per', 'regions', 'allCampaigns', 'source'])
        || array_remove(array[
        case when jsonb_typeof(p_limit -> 'counts') <> 'string'
                  or coalesce(p_limit ->> 'counts', '') !~ '^[a-z][a-z0-9_]{0,62}$' then
            '"counts" must be attempts, conversations or voicemails, or an outcome or disposition, as in not_interested' end,
        case when jsonb_typeof(p_limit -> 'atMost') not in ('number', 'null')
                  or coalesce(p_limit ->> 'atMost', '1') !~ '^[1-9][0-9]{0,2}$|^1000$' then
            '"atMost" must be a whole number from 1 to 1000' end,
        case when jsonb_typeof(p_limit -> 'period') <> 'string'
                  or not coalesce(pgdial.is_length_between(v_period, '1 minute', '400 days'), false) then
                 '"period" must be a length of time from 1 minute to 400 days, as in "24 hours"'
             when v_boundary = 'local_day' and extract(epoch from v_period::interval) % 86400 <> 0 then
                 '"period" must be whole days where "boundary" is local_day' end,
        case when v_boundary not in ('rolling', 'local_day') then '"boundary" must be rolling or local_day' end,
        case when coalesce(p_limit ->> 'per', 'number') not in ('number', 'number_and_topic', 'number_and_campaign') then
            '"per" must be number, number_and_topic or number_and_campaign' end,
        case when coalesce(jsonb_typeof(p_limit -> 'regions'), 'null') <> 'null'
                  and not pgdial.are_regions(p_limit -> 'regions') then
            '"regions" must be an array of regions (ISO 3166), as in ["US-FL"], or null for all' end,
        case when jsonb_typeof(p_limit -> 'allCampaigns') not in ('boolean', 'null') then
            '"allCampaigns" must be true or false' end,
        case when jsonb_typeof(p_limit -> 'source') not in ('string', 'null') then '"source" must be a text'
             when length(p_limit ->> 'source') > 1000 then '"source" has at most 1000 characters' end], null));
end $$;

-- are_regions: an array of countries, or of parts of them (ISO 3166)?
create or replace function pgdial.are_regions(p_regions jsonb) returns boolean
language plpgsql immutable
as $$
begin
    return case when jsonb_typeof(p_regions) = 'array' then jsonb_array_length(p_regions) between 1 and 100
        and not exists (select from jsonb_array_elements(p_regions) r
                        where coalesce(r #>> '{}', '') !~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$') else false end;
end $$;

-- check_limits_of_campaign, check_campaigns_of_limit: a campaign's limits are names in an array, which no foreign key
-- can watch; these triggers do, for a plain UPDATE too. A limit that is gone would count nothing.
-- Races: a campaign locks the limits that it names, so that none is deleted meanwhile.
create or replace function pgdial.check_limits_of_campaign() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unknown text;
begin
    select n into v_unknown from unnest(new.contact_limits) n
    where not exists (select from pgdial.contact_limits l where l.name = n for key share);
    if found then
        raise exception 'there is no contact limit "%": `pgdial limits list` shows those there are', v_unknown
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
create or replace trigger check_limits after insert or update of contact_limits on pgdial.campaigns
    for each row when (new.contact_limits is not null) execute function pgdial.check_limits_of_campaign();

create or replace function pgdial.check_campaigns_of_limit() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_campaign constant text := (
        select g.name from pgdial.campaigns g where g.contact_limits @> array[old.name] order by g.name limit 1);
begin
    if v_campaign is not null and not exists (select from pgdial.contact_limits l where l.name = old.name) then
        raise exception 'campaign % has contact limit "%": change its contactLimits first', v_campaign, old.name
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;
create or replace trigger check_campaigns after delete or update of name on pgdial.contact_limits
    for each row execute function pgdial.check_campaigns_of_limit();

-- with_preset: the changes of a campaign, with what their "preset" stands for: the newest calling hours and the newest
-- contact limits of that name, or those of a month, as in us-tcpa@2026-11. What is given beside it wins.
create or replace function pgdial.with_preset(p_changes jsonb) returns jsonb
language plpgsql stable
as $$
declare
    v_preset constant text := p_changes ->> 'preset';
    v_hours constant text := pgdial.hours_named(v_preset);
    v_limits jsonb;
begin
    if v_preset is null then
        return p_changes - 'preset';
    end if;
    select jsonb_agg(l.name order by l.name) into v_limits
    from pgdial.contact_limits l
    where l.presets @> array[(select max(p) from pgdial.contact_limits o, unnest(o.presets) p
                              where v_preset in (p, split_part(p, '@', 1)))];
    if v_hours is null and v_limits is null then
        raise exception '"preset" "%" is not known: known are %', left(v_preset, 63), (
            select string_agg(distinct split_part(n, '@', 1), ', ' order by split_part(n, '@', 1))
            from (select h.name from pgdial.calling_hours h where h.name like '%@%'
                  union all select p from pgdial.contact_limits l, unnest(l.presets) p) k (n))
            using errcode = 'invalid_parameter_value';
    end if;
    return jsonb_strip_nulls(jsonb_build_object('callingHours', v_hours, 'contactLimits', v_limits)) || (p_changes - 'preset');
end $$;
