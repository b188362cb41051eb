-- create_campaign, set_campaign, create_trunk, set_trunk: the rows that a person may
-- change while it runs. p_changes: a JSON object; an unknown field, or a value that
-- does not fit, is an error that says what to do. Running calls keep what they have.
create or replace function pgdial.set_campaign(p_name text, p_changes jsonb) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgdial.known_fields(p_changes, array['trunk', 'cap', 'weight', 'maxAttempts', 'ringTimeout', 'maxDuration',
        'busyBase', 'noAnswerBase', 'faultBase', 'backoffCap', 'redialUnknown']);
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
        redial_unknown = coalesce((p_changes ->> 'redialUnknown')::boolean, g.redial_unknown)
    where g.name = p_name;
    return found;
end $$;

create or replace function pgdial.create_campaign(p_name text, p_changes jsonb default '{}') returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgdial.campaigns (name, trunk) values (p_name, coalesce(p_changes ->> 'trunk', 'default'))
    on conflict (name) do nothing;
    return found and pgdial.set_campaign(p_name, p_changes);
end $$;

create or replace function pgdial.set_trunk(p_name text, p_changes jsonb) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgdial.known_fields(p_changes, array['slots', 'callsPerSecond', 'lookUp', 'idempotent']);
    update pgdial.trunks t
    set slots = coalesce((p_changes ->> 'slots')::int, t.slots),
        calls_per_second = case when p_changes ? 'callsPerSecond' then (p_changes ->> 'callsPerSecond')::numeric
                                else t.calls_per_second end,
        look_up = coalesce(p_changes ->> 'lookUp', t.look_up),
        idempotent = coalesce((p_changes ->> 'idempotent')::boolean, t.idempotent)
    where t.name = p_name;
    return found;
end $$;

create or replace function pgdial.create_trunk(p_name text, p_changes jsonb default '{}') returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgdial.trunks (name) values (p_name) on conflict (name) do nothing;
    return found and pgdial.set_trunk(p_name, p_changes);
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
