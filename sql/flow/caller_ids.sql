-- add_caller_id, set_caller_id, remove_caller_id: add, change or remove a number that calls are dialled from.
-- p_changes: a JSON object: pool, trunk, dailyCap, paused, rest (from now on: a length of time, or null to end it).
-- Unknown fields and invalid values are reported together in one error that says what to do, one per line. Calls in
-- flight keep what they were dialled from.
-- p_by, p_why: for the audit (acts). Returns whether the number is there; of add, whether it is new.
--   select pgdial.add_caller_id('+14155550199', '{"pool": "us", "trunk": "default", "dailyCap": 100}');
--   select pgdial.set_caller_id('+14155550199', '{"rest": "3 hours"}', 'flagged as spam');
--   select pgdial.remove_caller_id('+14155550199', 'given back');
create or replace function pgdial.add_caller_id(
    p_number text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_number constant text := pgdial.needed_phone(p_number, null, '"number"');
    v_added boolean;
begin
    perform pgdial.check_caller_id(p_changes, true, p_why);
    insert into pgdial.caller_ids (number, pool, trunk, daily_cap, paused, paused_by, paused_why, rest_until)
    values (v_number, p_changes ->> 'pool', coalesce(p_changes ->> 'trunk', 'default'), (p_changes ->> 'dailyCap')::int,
            coalesce((p_changes ->> 'paused')::boolean, false), p_by, p_why, pgdial.now() + (p_changes ->> 'rest')::interval)
    on conflict (number) do nothing;
    v_added := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_added;
end $$;

create or replace function pgdial.set_caller_id(
    p_number text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_number constant text := pgdial.needed_phone(p_number, null, '"number"');
    v_found boolean;
begin
    perform pgdial.check_caller_id(p_changes, false, p_why);
    update pgdial.caller_ids k
    set pool = coalesce(p_changes ->> 'pool', k.pool), trunk = coalesce(p_changes ->> 'trunk', k.trunk),
        daily_cap = case when p_changes ? 'dailyCap' then (p_changes ->> 'dailyCap')::int else k.daily_cap end,
        paused = coalesce((p_changes ->> 'paused')::boolean, k.paused),
        paused_at = case when (p_changes ->> 'paused')::boolean then pgdial.now() else k.paused_at end,
        paused_by = case when (p_changes ->> 'paused')::boolean then p_by else k.paused_by end,
        paused_why = case when (p_changes ->> 'paused')::boolean then p_why else k.paused_why end,
        rest_until = case when p_changes ? 'rest' then pgdial.now() + (p_changes ->> 'rest')::interval else k.rest_until end
    where k.number = v_number;
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

create or replace function pgdial.remove_caller_id(p_number text, p_why text default null, p_by text default session_user)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    delete from pgdial.caller_ids k where k.number = pgdial.needed_phone(p_number, null, '"number"');
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

-- check_caller_id: everything that is wrong with the changes and their reason.
create or replace function pgdial.check_caller_id(p_changes jsonb, p_is_new boolean, p_why text) returns void
language plpgsql stable
as $$
declare
    v_faults text[] := '{}';
    v_field text;
    v_value text;
    v_fits boolean;
    v_wanted text;
begin
    if p_is_new and p_changes ->> 'pool' is null then
        v_faults := array['"pool" is missing: the name of a new pool, or of one that there is'];
    end if;
    v_faults := v_faults || pgdial.why_faults(p_why) || pgdial.unknown_fields(p_changes, array['pool', 'trunk', 'dailyCap', 'paused', 'rest']);
    if p_why is null and (p_changes ->> 'paused' = 'true' or p_changes ->> 'rest' is not null) then
        v_faults := v_faults || '"why" is missing: whoever pauses a number or lets it rest says why'::text;
    end if;
    for v_field, v_value in select k, p_changes ->> k from jsonb_object_keys(p_changes) k order by k loop
        continue when v_value is null;
        case v_field
            when 'pool' then
                v_fits := v_value ~ '^[a-z0-9][a-z0-9_-]{0,62}$';
                v_wanted := '1 to 63 lower-case letters, digits, underscores and hyphens, as in us-sales';
            when 'dailyCap' then
                v_fits := v_value ~ '^[0-9]{1,6}$' and v_value::int between 1 and 100000;
                v_wanted := 'a whole number from 1 to 100000, or null for none';
            when 'paused' then
                v_fits := v_value in ('true', 'false');
                v_wanted := 'true or false';
            when 'rest' then
                v_fits := pgdial.is_length_between(v_value, '1 second', '365 days');
                v_wanted := 'a length of time from 1 second to a year, as in "2 hours", or null to end a rest';
            else
                v_fits := true;     -- a name: checked by its foreign key
        end case;
        if not v_fits then
            v_faults := v_faults || format('"%s" must be %s', v_field, v_wanted);
        end if;
    end loop;
    perform pgdial.refuse(v_faults);
end $$;
