-- create_endpoint, set_endpoint, delete_endpoint, rotate_endpoint, test_endpoint: where events are delivered to.
-- p_changes: a JSON object: url, kinds (of events), campaigns (null: all). Unknown fields and invalid values are
-- reported together in one error that says what to do, one per line. A change holds for whatever is sent from now on.
-- p_by, p_why: for the audit, which a trigger writes (sql/rules/acts.sql).
--   select pgdial.create_endpoint('crm', '{"url": "https://crm.example.com/hooks", "kinds": ["completed", "failed"]}');
--   select pgdial.set_endpoint('crm', '{"campaigns": ["default"]}', 'the others have one of their own');
--   select pgdial.rotate_endpoint('crm', '24 hours', 'the secret leaked');

-- create_endpoint: a new endpoint gets the events from now on. Returns the secret that signs them, which is shown
-- this once; null: the name is taken.
create or replace function pgdial.create_endpoint(
    p_name text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant int := 100;   -- the sender has memory for 32 deliveries to each
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_endpoint bigint;
    v_secret text;
begin
    perform pgdial.check_endpoint(p_name, p_changes, true, p_why);
    perform pg_advisory_xact_lock(x'70676469'::int, 4);
    if (select count(*) from pgdial.endpoints) >= c_most then
        raise exception 'there are % endpoints already: delete one', c_most using errcode = 'invalid_parameter_value';
    end if;
    insert into pgdial.endpoints (name, url, kinds, campaigns)
    values (p_name, p_changes ->> 'url', coalesce(pgdial.texts(p_changes -> 'kinds'), pgdial.usual_kinds()),
            pgdial.texts(p_changes -> 'campaigns'))
    on conflict (name) do nothing
    returning id into v_endpoint;
    if v_endpoint is not null then
        insert into pgdial.endpoint_progress (endpoint, cursor)
        select v_endpoint, e.cursor from pgdial.events_after('now', 0) e;
        v_secret := pgdial.make_secret(v_endpoint);
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_secret;
end $$;

create or replace function pgdial.set_endpoint(
    p_name text, p_changes jsonb, p_why text default null, p_by text default session_user
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    perform pgdial.check_endpoint(p_name, p_changes, false, p_why);
    update pgdial.endpoints e
    set url = coalesce(p_changes ->> 'url', e.url), kinds = coalesce(pgdial.texts(p_changes -> 'kinds'), e.kinds),
        campaigns = case when p_changes ? 'campaigns' then pgdial.texts(p_changes -> 'campaigns') else e.campaigns end
    where e.name = p_name;
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

-- delete_endpoint: with its secrets and its place in the log. What it was sent is removed by housekeeping.
-- Races: whoever delivers holds the progress, and its second change of that row asks whether the endpoint is there
-- still. So the progress is locked first here, or the two would wait for each other.
create or replace function pgdial.delete_endpoint(p_name text, p_why text default null, p_by text default session_user)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_found boolean;
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    perform pgdial.lock_endpoint(e.id, true) from pgdial.endpoints e where e.name = p_name;
    delete from pgdial.endpoints e where e.name = p_name;
    v_found := found;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_found;
end $$;

-- rotate_endpoint: a new secret, which is returned; null: there is no such endpoint. The one before it signs too for
-- p_overlap from now on (0: no more); one before that is gone.
create or replace function pgdial.rotate_endpoint(
    p_name text, p_overlap text default '24 hours', p_why text default null, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_endpoint constant bigint := (select e.id from pgdial.endpoints e where e.name = p_name for no key update);
begin
    perform pgdial.refuse(pgdial.why_faults(p_why) || case
        when pgdial.is_length_between(p_overlap, '0', '30 days') then '{}'::text[]
        else array['"overlap" must be a length of time from 0 seconds to 30 days, as in "24 hours"'] end);
    if v_endpoint is null then
        return null;
    end if;
    delete from pgdial.endpoint_secrets s where s.endpoint = v_endpoint and s.until is not null;
    update pgdial.endpoint_secrets s set until = pgdial.now() + p_overlap::interval where s.endpoint = v_endpoint;
    perform pgdial.note_act('rotate', 'endpoint', p_name, p_by, p_why,
                            jsonb_build_object('overlap', pgdial.iso_8601(p_overlap::interval)));
    return pgdial.make_secret(v_endpoint);
end $$;

-- test_endpoint: a delivery of kind `test`, which is about no call. Returns its id; null: there is no such endpoint.
create or replace function pgdial.test_endpoint(p_name text, p_why text default null, p_by text default session_user)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_endpoint pgdial.endpoints;
    v_delivery pgdial.deliveries;
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    select e.* into v_endpoint from pgdial.endpoints e where e.name = p_name;
    if v_endpoint.paused then
        raise exception 'endpoint % is paused: resume it first', p_name using errcode = 'invalid_parameter_value';
    elsif v_endpoint.id is null then
        return null;
    end if;
    perform pgdial.lock_endpoint(v_endpoint.id, true);
    insert into pgdial.deliveries (endpoint, xid, seq, at, kind, state, next_at)
    values (v_endpoint.id, pg_current_xact_id(), nextval('pgdial.call_events_seq'), pgdial.now(), 'test', 'pending', pgdial.now())
    returning * into v_delivery;
    update pgdial.endpoint_progress p set unfinished = p.unfinished + 1 where p.endpoint = v_endpoint.id;
    perform pgdial.note_act('test', 'endpoint', p_name, p_by, p_why);
    return pgdial.delivery_id(v_delivery);
end $$;

-- make_secret: 256 random bits, as the endpoint's newest secret, in the spelling of Standard Webhooks.
create or replace function pgdial.make_secret(p_endpoint bigint) returns text
language plpgsql volatile
as $$
declare
    -- Three of them, because each has 122 random bits.
    v_secret constant bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    v_inner bytea := decode(repeat('36', 64), 'hex');
    v_outer bytea := decode(repeat('5c', 64), 'hex');
begin
    for n in 0 .. length(v_secret) - 1 loop
        v_inner := set_byte(v_inner, n, get_byte(v_inner, n) # get_byte(v_secret, n));
        v_outer := set_byte(v_outer, n, get_byte(v_outer, n) # get_byte(v_secret, n));
    end loop;
    insert into pgdial.endpoint_secrets (endpoint, inner_key, outer_key) values (p_endpoint, v_inner, v_outer);
    return 'whsec_' || encode(v_secret, 'base64');
end $$;

-- check_endpoint: everything that is wrong with the changes and their reason.
create or replace function pgdial.check_endpoint(p_name text, p_changes jsonb, p_is_new boolean, p_why text) returns void
language plpgsql stable
as $$
declare
    v_url constant text := p_changes ->> 'url';
    v_kinds constant text[] := pgdial.texts(p_changes -> 'kinds');
    v_campaigns constant text[] := pgdial.texts(p_changes -> 'campaigns');
    v_unknown text;
begin
    select string_agg(g, ', ' order by g) into v_unknown from unnest(v_campaigns) g
    where not exists (select from pgdial.campaigns c where c.name = g);
    perform pgdial.refuse(pgdial.name_faults('an endpoint', p_name) || pgdial.why_faults(p_why)
        || pgdial.unknown_fields(p_changes, array['url', 'kinds', 'campaigns'])
        || array_remove(array[
        case when v_url is null and (p_is_new or p_changes ? 'url') then '"url" is missing: where events are delivered to'
             when length(v_url) > 2000
                  or v_url !~ '^https?://([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][!-"$-~]*)?$'
                  or v_url ~ '^https?://[[]' and not pgdial.is_ipv6(substring(v_url from '[[]([^]]*)[]]')) then
                 '"url" must be https:// or http:// with a host, without user and fragment, as in https://crm.example.com/hooks' end,
        case when jsonb_typeof(p_changes -> 'kinds') = 'null' and not p_is_new then '"kinds" must be an array of kinds of events'
             when p_changes ->> 'kinds' is not null and coalesce(v_kinds = '{}' or not v_kinds <@ pgdial.event_kinds(), true) then
            format('"kinds" must be an array of kinds of events: known are %s', array_to_string(pgdial.event_kinds(), ', ')) end,
        case when p_changes ->> 'campaigns' is not null and coalesce(cardinality(v_campaigns) not between 1 and 100, true) then
                 '"campaigns" must be an array of 1 to 100 names, or null for all'
             when v_unknown is not null then format('"campaigns" names one that there is not: %s', v_unknown) end], null));
end $$;

-- is_ipv6: is this an address that may stand in brackets?
create or replace function pgdial.is_ipv6(p_text text) returns boolean
language plpgsql immutable
as $$
begin
    return family(p_text::inet) = 6;
exception when invalid_text_representation then
    return false;
end $$;

-- texts: the texts of a JSON array, each once; null if it is no array of texts.
create or replace function pgdial.texts(p_array jsonb) returns text[]
language plpgsql immutable
as $$
begin
    if jsonb_typeof(p_array) = 'array' and not p_array @? '$[*] ? (@.type() != "string")' then
        return array(select distinct t from jsonb_array_elements_text(p_array) t order by t);
    end if;
    return null;
end $$;

-- event_kinds: every kind of event that a call's history may have.
create or replace function pgdial.event_kinds() returns text[]
language sql immutable parallel safe
as $$
    select array['active', 'amended', 'answered', 'answered_by', 'callback', 'cancel_requested', 'canceled', 'completed',
        'conflict', 'deferred', 'disposition', 'expired', 'failed', 'forgotten', 'held', 'held_back', 'in_call', 'late_answer',
        'late_end', 'mismatch', 'number_changed', 'opted_out', 'overdue', 'put_off', 'rechecked', 'recovered', 'redriven', 'released', 'renamed',
        'repeated', 'replayed', 'resolved', 'result_added', 'retried', 'skipped', 'suppressed', 'unresolved', 'waiting']
$$;

-- usual_kinds: how calls end, and what is learnt about them afterwards.
create or replace function pgdial.usual_kinds() returns text[]
language sql immutable parallel safe
as $$ select array['canceled', 'completed', 'expired', 'failed', 'result_added', 'suppressed'] $$;

-- An endpoint that is resumed starts afresh, and what has waited is due at once.
create or replace function pgdial.restart_endpoint() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgdial.endpoint_progress p set failures = 0, failing_since = null, held_until = null where p.endpoint = new.id;
    perform pgdial.deliver_at_once(new.id, pgdial.now());
    return null;
end $$;
create or replace trigger restart after update of paused on pgdial.endpoints
    for each row when (old.paused and not new.paused) execute function pgdial.restart_endpoint();
