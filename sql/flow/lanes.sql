-- create_campaign, set_campaign, create_trunk, set_trunk: the rows that a person may
-- change while it runs. p_changes: a JSON object; an unknown field, or a value that
-- does not fit, is an error that says what to do. Running calls keep what they have.
-- p_by, p_why: for the audit, which a trigger writes (sql/rules/acts.sql): one act with the old
-- and the new values.
create or replace function pgdial.set_campaign(
    p_name text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    perform pgdial.known_fields(p_changes, array['trunk', 'cap', 'weight', 'maxAttempts', 'ringTimeout', 'maxDuration',
        'busyBase', 'noAnswerBase', 'faultBase', 'backoffCap', 'redialUnknown', 'guard', 'region']);
    perform pgdial.fitting_values(p_changes);
    update pgdial.campaigns g
    set trunk = coalesce(p_changes ->> 'trunk', g.trunk),
        cap = case when p_changes ? 'cap' then (p_changes ->> 'cap')::int else g.cap end,
        weight = coalesce((p_changes ->> 'weight')::int, g.weight),
        max_attempts = coalesce((p_changes ->> 'maxAttempts')::int, g.max_attempts),
        ring_timeout = coalesce((p_changes ->> 'ringTimeout')::interval, g.ring_timeout),
        max_duration = coalesce((p_changes ->> 'maxDuration')::interval, g.max_duration),
        busy_base = coalesce((p_changes ->> 'busyBase')::interval, g.busy_base),
        no_answer_base = coalesce((p_changes ->> 'noAnswerBase')::interval, g.no_answer_base),
        fault_base = coalesce((p_changes ->> 'faultBase')::interval, g.fault_base),
        backoff_cap = coalesce((p_changes ->> 'backoffCap')::interval, g.backoff_cap),
        redial_unknown = coalesce((p_changes ->> 'redialUnknown')::boolean, g.redial_unknown),
        guard = case when p_changes ? 'guard' then (p_changes ->> 'guard')::int else g.guard end,
        region = case when p_changes ? 'region' then upper(p_changes ->> 'region' collate "C") else g.region end
    where g.name = p_name;
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

create or replace function pgdial.create_campaign(
    p_name text, p_changes jsonb default '{}', p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_created boolean;
begin
    if p_name !~ '^[a-z0-9][a-z0-9_-]{0,62}$' then
        raise exception '"name" of a campaign has 1 to 63 lower-case letters, digits, underscores and hyphens, '
            'the first a letter or a digit, as in spring-2026' using errcode = 'invalid_parameter_value';
    end if;
    insert into pgdial.campaigns (name, trunk) values (p_name, coalesce(p_changes ->> 'trunk', 'default'))
    on conflict (name) do nothing;
    v_created := found and pgdial.set_campaign(p_name, p_changes, p_why, p_by);
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_created;
end $$;

create or replace function pgdial.set_trunk(
    p_name text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    perform pgdial.known_fields(p_changes, array['slots', 'callsPerSecond', 'lookUp', 'idempotent', 'reportsWithin']);
    perform pgdial.fitting_values(p_changes);
    update pgdial.trunks t
    set slots = coalesce((p_changes ->> 'slots')::int, t.slots),
        calls_per_second = case when p_changes ? 'callsPerSecond' then (p_changes ->> 'callsPerSecond')::numeric
                                else t.calls_per_second end,
        look_up = coalesce(p_changes ->> 'lookUp', t.look_up),
        idempotent = coalesce((p_changes ->> 'idempotent')::boolean, t.idempotent),
        reports_within = case when p_changes ? 'reportsWithin' then (p_changes ->> 'reportsWithin')::interval
                              else t.reports_within end
    where t.name = p_name;
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

create or replace function pgdial.create_trunk(
    p_name text, p_changes jsonb default '{}', p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_created boolean;
begin
    if p_name !~ '^[a-z][a-z0-9_]{0,30}$' then
        raise exception '"name" of a trunk has 1 to 31 lower-case letters, digits and underscores, '
            'the first a letter, as in eu_west' using errcode = 'invalid_parameter_value';
    end if;
    insert into pgdial.trunks (name) values (p_name) on conflict (name) do nothing;
    v_created := found and pgdial.set_trunk(p_name, p_changes, p_why, p_by);
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_created;
end $$;

-- fitting_values: each value, against what its column takes: a constraint of the table would
-- say no as well, but not what to do.
create or replace function pgdial.fitting_values(p_changes jsonb) returns void
language plpgsql stable
as $$
declare
    v_field text;
    v_value text;
    v_fits boolean;
    v_wanted text;
begin
    for v_field, v_value in select k, p_changes ->> k from jsonb_object_keys(p_changes) k where p_changes ->> k is not null loop
        case
            when v_field in ('cap', 'slots', 'weight', 'maxAttempts', 'guard') then
                v_fits := v_value ~ '^[0-9]{1,9}$' and v_value::int between
                    case when v_field in ('weight', 'maxAttempts', 'guard') then 1 else 0 end
                    and case v_field when 'slots' then 100000 when 'weight' then 1000 when 'maxAttempts' then 20 when 'guard' then 100 else 999999999 end;
                v_wanted := case v_field when 'cap' then 'a whole number from 0, or null for none'
                    when 'slots' then 'a whole number from 0 to 100000'
                    when 'guard' then 'a whole number from 1 to 100, or null for none'
                    when 'weight' then 'a whole number from 1 to 1000' else 'a whole number from 1 to 20' end;
            when v_field = 'callsPerSecond' then
                v_fits := v_value ~ '^[0-9]{1,6}([.][0-9]+)?$' and v_value::numeric >= 0.001;
                v_wanted := 'a number from 0.001 to 999999, or null for none';
            when v_field = 'lookUp' then
                v_fits := v_value in ('none', 'hint', 'authoritative');
                v_wanted := 'none, hint or authoritative';
            when v_field in ('idempotent', 'redialUnknown') then
                v_fits := v_value in ('true', 'false');
                v_wanted := 'true or false';
            when v_field = 'region' then
                v_fits := pgdial.region_problem(v_value) is null;
                v_wanted := 'a country in two letters, as in US, or null for none';
            when v_field in ('ringTimeout', 'maxDuration', 'busyBase', 'noAnswerBase', 'faultBase', 'backoffCap') then
                v_fits := pgdial.is_length_between(v_value, case when v_field in ('ringTimeout', 'maxDuration')
                    then '1 second'::interval else '1 millisecond' end,
                    case v_field when 'ringTimeout' then '10 minutes'::interval when 'maxDuration' then '6 hours' else '365 days' end);
                v_wanted := format('a length of time %s, as in "45 seconds"', case v_field
                    when 'ringTimeout' then 'from 1 second to 10 minutes'
                    when 'maxDuration' then 'from 1 second to 6 hours' else 'from 1 millisecond to a year' end);
            when v_field = 'reportsWithin' then
                v_fits := pgdial.is_length_between(v_value, '1 second', '1 hour');
                v_wanted := 'a length of time from 1 second to 1 hour, as in "45 seconds", or null for unknown';
            else
                v_fits := true;     -- a name: its foreign key knows
        end case;
        if not v_fits then
            raise exception '"%" must be %', v_field, v_wanted using errcode = 'invalid_parameter_value';
        end if;
    end loop;
end $$;

create or replace function pgdial.is_length_between(p_text text, p_least interval, p_most interval) returns boolean
language plpgsql stable
as $$
begin
    return p_text::interval between p_least and p_most;
exception when data_exception then
    return false;   -- no length of time at all
end $$;

create or replace function pgdial.known_fields(p_changes jsonb, p_known text[]) returns void
language plpgsql immutable
as $$
declare
    v_field text;
begin
    select k into v_field from jsonb_object_keys(p_changes) k where k <> all (p_known) limit 1;
    if v_field is not null then
        raise exception 'unknown field "%": known are %', v_field, array_to_string(p_known, ', ')
            using errcode = 'invalid_parameter_value';
    end if;
end $$;
