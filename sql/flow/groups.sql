-- create_campaign, set_campaign, create_trunk, set_trunk: create or change a campaign or a trunk, at run time.
-- p_changes: a JSON object; unknown fields and invalid values are reported together in one error that says what
-- to do, one per line. Calls in flight keep what they have. The fields are those of the API, and the columns of
-- pgdial.campaigns and pgdial.trunks, written like this: maxAttempts.
-- p_by, p_why: for the audit (acts), with the old and the new values.
-- Returns whether the row is there; of create, whether it is new.
--   select pgdial.create_campaign('spring', '{"cap": 20, "maxAttempts": 5}');
--   select pgdial.set_campaign('spring', '{"cap": 50, "callingHours": null}', 'more agents');
--   select pgdial.create_trunk('backup', '{"slots": 10}');
--   select pgdial.set_trunk('backup', '{"callsPerSecond": 2}', 'as in the contract');
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
    perform pgdial.check_group('campaign', p_changes, null, p_why);
    p_changes := pgdial.with_preset(p_changes);
    perform pgdial.check_together(p_name, p_changes);
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
        answering_machine = coalesce(p_changes ->> 'answeringMachine', g.answering_machine),
        voicemail = coalesce(p_changes ->> 'voicemail', g.voicemail),
        voicemail_base = coalesce((p_changes ->> 'voicemailBase')::interval, g.voicemail_base),
        redial_unknown = coalesce((p_changes ->> 'redialUnknown')::boolean, g.redial_unknown),
        guard = case when p_changes ? 'guard' then (p_changes ->> 'guard')::int else g.guard end,
        caller_ids = case when p_changes ? 'callerIds' then p_changes ->> 'callerIds' else g.caller_ids end,
        retry_at = coalesce(p_changes ->> 'retryAt', g.retry_at),
        goal_outcome = case when p_changes ? 'goal' then p_changes -> 'goal' ->> 'outcome' else g.goal_outcome end,
        goal_disposition = case when p_changes ? 'goal' then p_changes -> 'goal' ->> 'disposition' else g.goal_disposition end,
        goal_count = case when p_changes ? 'goal' then (p_changes -> 'goal' ->> 'count')::int else g.goal_count end,
        budget = case when p_changes ? 'budget' then (p_changes ->> 'budget')::numeric else g.budget end,
        answer_guard_last = case when p_changes ? 'answerGuard' then (p_changes -> 'answerGuard' ->> 'last')::int
                                 else g.answer_guard_last end,
        answer_guard_below = case when p_changes ? 'answerGuard' then (p_changes -> 'answerGuard' ->> 'answeredBelow')::numeric
                                  else g.answer_guard_below end,
        ramp_from = case when p_changes ? 'ramp' then (p_changes -> 'ramp' ->> 'from')::int else g.ramp_from end,
        ramp_step = case when p_changes ? 'ramp' then (p_changes -> 'ramp' ->> 'step')::int else g.ramp_step end,
        ramp_every = case when p_changes ? 'ramp' then (p_changes -> 'ramp' ->> 'every')::interval else g.ramp_every end,
        starts_at = case when p_changes ? 'startsAt' then pgdial.read_timestamp(p_changes ->> 'startsAt') else g.starts_at end,
        ends_at = case when p_changes ? 'endsAt' then pgdial.read_timestamp(p_changes ->> 'endsAt') else g.ends_at end,
        region = case when p_changes ? 'region' then upper(p_changes ->> 'region' collate "C") else g.region end,
        calling_hours = case when p_changes ? 'callingHours' then pgdial.hours_named(p_changes ->> 'callingHours') else g.calling_hours end,
        zone_basis = case when p_changes ? 'zoneBasis' then p_changes ->> 'zoneBasis' else g.zone_basis end,
        contact_limits = case when p_changes ? 'contactLimits' then pgdial.read_names(p_changes -> 'contactLimits')
                              else g.contact_limits end,
        topic = case when p_changes ? 'topic' then p_changes ->> 'topic' else g.topic end,
        disposition_rules = case when p_changes ? 'dispositionRules' then nullif(p_changes -> 'dispositionRules', 'null')
                                 else g.disposition_rules end,
        opt_out_scope = coalesce(p_changes ->> 'optOutScope', g.opt_out_scope),
        require_consent = coalesce((p_changes ->> 'requireConsent')::boolean, g.require_consent)
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
    perform pgdial.check_group('campaign', p_changes, coalesce(p_name, ''), p_why);
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
    perform pgdial.check_group('trunk', p_changes, null, p_why);
    perform pgdial.check_repeat(p_name, p_changes);
    update pgdial.trunks t
    set slots = coalesce((p_changes ->> 'slots')::int, t.slots),
        calls_per_second = case when p_changes ? 'callsPerSecond' then (p_changes ->> 'callsPerSecond')::numeric
                                else t.calls_per_second end,
        look_up = case when p_changes ? 'lookUp' then p_changes ->> 'lookUp' else t.look_up end,
        idempotent = case when p_changes ? 'idempotent' then (p_changes ->> 'idempotent')::boolean else t.idempotent end,
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
    perform pgdial.check_group('trunk', p_changes, coalesce(p_name, ''), p_why);
    insert into pgdial.trunks (name) values (p_name) on conflict (name) do nothing;
    v_created := found and pgdial.set_trunk(p_name, p_changes, p_why, p_by);
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_created;
end $$;

-- check_repeat: that a request may be sent again is refused where that is known to ring twice (P1).
create or replace function pgdial.check_repeat(p_trunk text, p_changes jsonb) returns void
language plpgsql stable
as $$
declare
    v_declares jsonb;
begin
    select a.declares into v_declares from pgdial.trunk_adapter a cross join lateral pgdial.trunk_terms(a.trunk) e
    where a.trunk = p_trunk and not e.may_repeat;
    if found and (p_changes ->> 'idempotent')::boolean then
        raise exception '"idempotent" cannot be true on trunk %: its platform %', p_trunk, pgdial.repeat_problem(v_declares)
            using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- check_together: settings of a campaign that depend on each other, whichever of them is changed.
create or replace function pgdial.check_together(p_campaign text, p_changes jsonb) returns void
language plpgsql stable
as $$
begin
    if exists (select from pgdial.trunks t where t.name = p_changes ->> 'trunk' and t.archived_at is not null) then
        raise exception '"trunk" is archived: name another, or unarchive it' using errcode = 'invalid_parameter_value';
    end if;
    if p_changes ?| array['startsAt', 'endsAt'] and exists (
        select from pgdial.campaigns g
        where g.name = p_campaign
          and case when p_changes ? 'startsAt' then pgdial.read_timestamp(p_changes ->> 'startsAt') else g.starts_at end
              >= case when p_changes ? 'endsAt' then pgdial.read_timestamp(p_changes ->> 'endsAt') else g.ends_at end)
    then
        raise exception '"endsAt" must be later than "startsAt"' using errcode = 'invalid_parameter_value';
    end if;
    if p_changes ?| array['retryAt', 'callingHours'] and exists (
        select from pgdial.campaigns g
        where g.name = p_campaign and coalesce(p_changes ->> 'retryAt', g.retry_at) <> 'backoff'
          and case when p_changes ? 'callingHours' then p_changes ->> 'callingHours' else g.calling_hours end is null)
    then
        raise exception '"retryAt" can only be "backoff" without "callingHours": nothing else says what time it is there'
            using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- check_group: everything that is wrong with a new name, the changes and their reason. The table's constraints
-- would refuse the same, but not say what to do.
create or replace function pgdial.check_group(p_kind text, p_changes jsonb, p_name text, p_why text) returns void
language plpgsql stable
as $$
declare
    v_known constant text[] := case p_kind
        when 'campaign' then array['trunk', 'cap', 'weight', 'maxAttempts', 'ringTimeout', 'maxDuration', 'busyBase',
            'noAnswerBase', 'faultBase', 'backoffCap', 'redialUnknown', 'guard', 'region', 'callingHours', 'zoneBasis',
            'contactLimits', 'topic', 'preset', 'startsAt', 'endsAt', 'retryAt',
            'callerIds', 'answeringMachine', 'voicemail', 'voicemailBase', 'dispositionRules', 'optOutScope', 'requireConsent',
            'goal', 'budget', 'answerGuard', 'ramp']
        else array['slots', 'callsPerSecond', 'lookUp', 'idempotent', 'reportsWithin'] end;
    v_faults text[] := '{}';
    v_field text;
    v_value text;
    v_fits boolean;
    v_wanted text;
begin
    if p_name = '' then
        v_faults := array[format('"name" is missing: the name of the new %s', p_kind)];
    elsif p_kind = 'campaign' and p_name !~ '^[a-z0-9][a-z0-9_-]{0,62}$' then
        v_faults := array['"name" of a campaign has 1 to 63 lower-case letters, digits, underscores and hyphens, '
            'the first a letter or a digit, as in spring-2026'];
    elsif p_kind = 'trunk' and p_name !~ '^[a-z][a-z0-9_]{0,30}$' then
        v_faults := array['"name" of a trunk has 1 to 31 lower-case letters, digits and underscores, '
            'the first a letter, as in eu_west'];
    end if;
    v_faults := v_faults || pgdial.why_faults(p_why) || pgdial.unknown_fields(p_changes - 'why', v_known);
    for v_field, v_value in select k, p_changes ->> k from jsonb_object_keys(p_changes) k order by k loop
        continue when v_value is null;
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
                v_wanted := 'none, hint or authoritative, or null for what its adapter declares';
            when v_field = 'dispositionRules' then
                v_wanted := pgdial.rules_problem(p_changes -> v_field);
                v_fits := v_wanted is null;
            when v_field = 'optOutScope' then
                v_fits := v_value in ('everywhere', 'topic', 'campaign');
                v_wanted := 'everywhere, topic or campaign';
            when v_field in ('idempotent', 'redialUnknown', 'requireConsent') then
                v_fits := v_value in ('true', 'false');
                v_wanted := case v_field when 'idempotent' then 'true or false, or null for what its adapter declares' else 'true or false' end;
            when v_field in ('goal', 'budget', 'answerGuard', 'ramp') then
                v_fits := pgdial.is_goal(v_field, p_changes -> v_field);
                v_wanted := case v_field
                    when 'goal' then '{"outcome": "answered" or "voicemail", "count": from 1 to 999999999}, or {"disposition": a word like "interested", "count": ...}'
                    when 'budget' then 'a number above 0'
                    when 'answerGuard' then '{"last": from 10 to 1000 attempts, "answeredBelow": a part of them, above 0 and up to 1}'
                    else '{"from": 2, "step": 2, "every": "10 minutes"}: whole numbers from 1 to 999999 and at least a second' end
                    || ', or null for none';
            when v_field = 'retryAt' then
                v_fits := v_value in ('backoff', 'other_part', 'next_day');
                v_wanted := 'backoff, other_part or next_day';
            when v_field in ('startsAt', 'endsAt') then
                v_fits := pgdial.read_timestamp(v_value) is not null;
                v_wanted := 'an RFC 3339 time with an offset, as in "2026-01-31T09:00:00Z", or null for none';
            when v_field = 'region' then
                v_fits := pgdial.region_problem(v_value) is null;
                v_wanted := 'a country in two letters, as in US, or null for none';
            when v_field = 'answeringMachine' then
                v_fits := v_value in ('ignore', 'hang_up', 'leave_message');
                v_wanted := 'ignore, hang_up or leave_message';
            when v_field = 'voicemail' then
                v_fits := v_value in ('complete', 'retry');
                v_wanted := 'complete or retry';
            when v_field = 'callerIds' then
                v_fits := exists (select from pgdial.caller_ids k where k.pool = v_value);
                v_wanted := 'a pool that has caller ids (add some first), or null for none';
            when v_field = 'callingHours' then
                v_fits := pgdial.hours_named(v_value) is not null;
                v_wanted := format('the name of calling hours, or null for none: there are no "%s"', left(v_value, 63));
            when v_field = 'zoneBasis' then
                v_fits := v_value in ('given_or_number', 'given_and_number', 'given');
                v_wanted := 'given_or_number, given_and_number or given, or null for what its calling hours say';
            when v_field = 'contactLimits' then
                v_fits := jsonb_typeof(p_changes -> v_field) = 'array';
                v_wanted := 'an array of names of contact limits, or null for none';
            when v_field = 'topic' then
                v_fits := jsonb_typeof(p_changes -> v_field) = 'string' and length(v_value) between 1 and 100;
                v_wanted := 'a text of 1 to 100 characters, or null for none';
            when v_field in ('ringTimeout', 'maxDuration', 'busyBase', 'noAnswerBase', 'faultBase', 'voicemailBase', 'backoffCap') then
                v_fits := jsonb_typeof(p_changes -> v_field) = 'string' and pgdial.is_length_between(v_value, case when v_field in ('ringTimeout', 'maxDuration')
                    then '1 second'::interval else '1 millisecond' end,
                    case v_field when 'ringTimeout' then '10 minutes'::interval when 'maxDuration' then '6 hours' else '365 days' end);
                v_wanted := format('a length of time %s, as in "45 seconds"', case v_field
                    when 'ringTimeout' then 'from 1 second to 10 minutes'
                    when 'maxDuration' then 'from 1 second to 6 hours' else 'from 1 millisecond to a year' end);
            when v_field = 'reportsWithin' then
                v_fits := jsonb_typeof(p_changes -> v_field) = 'string'
                    and (pgdial.is_length_between(v_value, '1 second', '1 hour') or pgdial.is_length_between(v_value, '0', '0'));
                v_wanted := 'a length of time from 1 second to 1 hour, as in "45 seconds", "0" for no promise, '
                    'or null for what its adapter declares';
            when v_field = 'why' then
                v_fits := false;    -- not a setting; HTTP leaves it here only if it is not a string
                v_wanted := 'a string';
            else
                v_fits := true;     -- a name: checked by its foreign key
        end case;
        if not v_fits then
            v_faults := v_faults || format('"%s" %s%s', v_field, case v_field when 'dispositionRules' then '' else 'must be ' end, v_wanted);
        end if;
    end loop;
    perform pgdial.refuse(v_faults);
end $$;

-- read_names: an array of names, each once; null if there is none.
create or replace function pgdial.read_names(p_names jsonb) returns text[]
language plpgsql immutable
as $$
begin
    return case when jsonb_typeof(p_names) = 'array'
                then nullif(array(select distinct n from jsonb_array_elements_text(p_names) n order by n), '{}') end;
end $$;

-- is_goal: is this a value for goal, budget, answerGuard or ramp?
create or replace function pgdial.is_goal(p_field text, p_value jsonb) returns boolean
language plpgsql stable
as $$
declare
    v_number constant numeric := case when jsonb_typeof(p_value) = 'number' then (p_value #>> '{}')::numeric
                                      when jsonb_typeof(p_value -> 'answeredBelow') = 'number' then (p_value ->> 'answeredBelow')::numeric end;
begin
    if p_field = 'budget' then
        return coalesce(v_number > 0 and v_number <= 1000000000000, false);
    end if;
    if jsonb_typeof(p_value) is distinct from 'object'
       or array(select k from jsonb_object_keys(p_value) k order by k) <> (case
            when p_field = 'goal' then array['count', case when p_value ? 'outcome' then 'outcome' else 'disposition' end]
            when p_field = 'ramp' then array['every', 'from', 'step'] else array['answeredBelow', 'last'] end) then
        return false;
    end if;
    return coalesce(case p_field
        when 'goal' then p_value ->> 'count' ~ '^[1-9][0-9]{0,8}$'
            and (p_value ->> 'outcome' in ('answered', 'voicemail') or p_value ->> 'disposition' ~ '^[a-z][a-z0-9_]{0,62}$')
        when 'ramp' then p_value ->> 'from' ~ '^[1-9][0-9]{0,5}$' and p_value ->> 'step' ~ '^[1-9][0-9]{0,5}$'
            and pgdial.is_length_between(p_value ->> 'every', '1 second', '365 days')
        else p_value ->> 'last' ~ '^([1-9][0-9]{1,2}|1000)$' and v_number > 0 and v_number <= 1 end, false);
end $$;

-- is_length_between: is it a length of time within these bounds?
create or replace function pgdial.is_length_between(p_text text, p_least interval, p_most interval) returns boolean
language plpgsql stable
as $$
begin
    return p_text::interval between p_least and p_most;
exception when data_exception then
    return false;   -- not an interval at all
end $$;

-- unknown_fields: a fault for each field that is not known.
create or replace function pgdial.unknown_fields(p_object jsonb, p_known text[]) returns text[]
language plpgsql immutable
as $$
begin
    return array(
        select format('"%s" is an unknown field: known are %s', left(k, 60), array_to_string(p_known, ', '))
        from jsonb_object_keys(p_object) k where k <> all (p_known) order by k);
end $$;
