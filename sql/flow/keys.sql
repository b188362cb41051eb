-- create_key, rotate_key, revoke_key, used_keys: keys of the API. Who may do what with one: docs/KEYS.md.
-- A key is shown once, by the function that makes it; only its hash is stored. A change is announced on the channel
-- pgdial_keys with its commit, and reaches a process that did not hear it within seconds (src/http/auth/directory.rs).
-- p_by, p_why: for the audit, which a trigger writes.
--   select pgdial.create_key('crm', '{"scope": "enqueue"}');
--   select pgdial.rotate_key('crm', '2 days', 'the quarter is over');
--   select pgdial.revoke_key('crm', 'the contract ended');
-- Races: these take turns by a lock on the table, which readers and requests do not wait for.

-- create_key: a new key, or null if one of this name is in use.
-- p_key: a JSON object: scope, campaigns (null: all), numbers (masked, on_request, whole), expiresAt (null: never).
create or replace function pgdial.create_key(
    p_name text, p_key jsonb, p_why text default null, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_campaigns text[];
    v_now timestamptz;
    v_key text;
begin
    lock table pgdial.keys in share row exclusive mode;
    v_now := pgdial.now();
    perform pgdial.check_key(p_name, p_key, p_why, v_now);
    if not exists (select from pgdial.keys k where k.name = p_name and pgdial.is_valid_key(k, v_now)) then
        if jsonb_typeof(p_key -> 'campaigns') = 'array' then
            v_campaigns := array(select distinct c from jsonb_array_elements_text(p_key -> 'campaigns') c order by c);
        end if;
        v_key := pgdial.new_key();
        insert into pgdial.keys (name, hash, hint, scope, campaigns, numbers, created_at, created_by, expires_at)
        values (p_name, pgdial.hash_of_key(v_key), left(v_key, 13), p_key ->> 'scope', v_campaigns,
                coalesce(p_key ->> 'numbers', 'masked'), v_now, coalesce(p_by, session_user),
                pgdial.read_timestamp(p_key ->> 'expiresAt'));
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_key;
end $$;

-- rotate_key: another key of the same name that may do the same for as long; the one before stays valid for p_keep.
-- Returns null if no key of this name is in use.
create or replace function pgdial.rotate_key(
    p_name text, p_keep text default '1 day', p_why text default null, p_by text default session_user
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_old pgdial.keys;
    v_now timestamptz;
    v_key text;
begin
    lock table pgdial.keys in share row exclusive mode;
    v_now := pgdial.now();
    perform pgdial.refuse(pgdial.why_faults(p_why) || case
        when not coalesce(pgdial.is_length_between(p_keep, '0 seconds', '90 days'), false)
        then array['"keep" must be a length of time from 0 seconds to 90 days, as in "1 day"'] else '{}' end);
    select k.* into v_old from pgdial.keys k where k.name = p_name and pgdial.is_valid_key(k, v_now) order by k.id desc limit 1;
    if found then
        v_key := pgdial.new_key();
        insert into pgdial.keys (name, hash, hint, scope, campaigns, numbers, created_at, created_by, expires_at)
        values (v_old.name, pgdial.hash_of_key(v_key), left(v_key, 13), v_old.scope, v_old.campaigns, v_old.numbers, v_now,
                coalesce(p_by, session_user), v_now + (v_old.expires_at - v_old.created_at));
        update pgdial.keys k set expires_at = least(k.expires_at, v_now + p_keep::interval)
        where k.name = p_name and k.id <= v_old.id and pgdial.is_valid_key(k, v_now);
    end if;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_key;
end $$;

-- revoke_key: ends every key of this name. Returns how many were in use.
create or replace function pgdial.revoke_key(p_name text, p_why text default null, p_by text default session_user)
returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    v_before constant text[] := pgdial.act_as(p_by, p_why);
    v_now timestamptz;
    v_revoked int;
begin
    lock table pgdial.keys in share row exclusive mode;
    v_now := pgdial.now();
    perform pgdial.refuse(pgdial.why_faults(p_why));
    update pgdial.keys k set revoked_at = v_now where k.name = p_name and pgdial.is_valid_key(k, v_now);
    get diagnostics v_revoked = row_count;
    perform pgdial.act_as(v_before[1], v_before[2]);
    return v_revoked;
end $$;

-- used_keys: notes that these keys are used. A key whose last use is younger than a minute is left alone, so however
-- many processes and requests there are, a key costs one write a minute.
create or replace function pgdial.used_keys(p_ids bigint[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := pgdial.now();
begin
    update pgdial.keys k set used_at = v_now
    from (select u.id from pgdial.keys u
          where u.id = any (p_ids) and (u.used_at is null or u.used_at < v_now - '1 minute'::interval)
          for no key update skip locked) u
    where k.id = u.id;
end $$;

-- note_unmasking: somebody saw whole what their key shows masked.
-- p_key: the key's name. p_detail: of the request.
create or replace function pgdial.note_unmasking(p_key text, p_detail jsonb, p_why text, p_by text default session_user)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgdial.refuse(pgdial.why_faults(p_why));
    perform pgdial.note_act('unmask', 'key', p_key, p_by, p_why, p_detail);
end $$;

-- is_valid_key: neither revoked nor expired.
create or replace function pgdial.is_valid_key(p_key pgdial.keys, p_now timestamptz) returns boolean
language sql immutable
as $$ select p_key.revoked_at is null and (p_key.expires_at is null or p_key.expires_at > p_now) $$;

-- new_key: 192 bits from the server's generator of random UUIDs, a version 4 of which has 122.
create or replace function pgdial.new_key() returns text
language sql volatile
as $$
    select 'pgdial_' || encode(substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 24), 'hex')
$$;

-- hash_of_key: SHA-256, which is all that is stored of a key or a cookie.
create or replace function pgdial.hash_of_key(p_key text) returns bytea
language sql immutable strict
as $$ select sha256(convert_to(p_key, 'UTF8')) $$;

-- check_key: everything that is wrong with a new key, one fault per line.
create or replace function pgdial.check_key(p_name text, p_key jsonb, p_why text, p_now timestamptz) returns void
language plpgsql stable
as $$
declare
    v_faults text[] := pgdial.why_faults(p_why)
        || pgdial.unknown_fields(p_key, array['scope', 'campaigns', 'numbers', 'expiresAt']);
    v_campaigns constant jsonb := nullif(p_key -> 'campaigns', 'null');
    v_expires constant text := p_key ->> 'expiresAt';
    v_unknown text;
begin
    if coalesce(p_name, '') !~ '^[A-Za-z0-9._-]{1,60}$' then
        v_faults := v_faults || '"name" must be 1 to 60 letters, digits, dots, hyphens and underscores, as in crm'::text;
    end if;
    if coalesce(p_key ->> 'scope', '') <> all (array['read', 'enqueue', 'operate', 'admin']) then
        v_faults := v_faults || '"scope" must be read, enqueue, operate or admin'::text;
    end if;
    if coalesce(p_key ->> 'numbers', 'masked') <> all (array['masked', 'on_request', 'whole']) then
        v_faults := v_faults || '"numbers" must be masked, on_request or whole'::text;
    end if;
    if jsonb_typeof(v_campaigns) <> 'array' or v_campaigns = '[]' then
        v_faults := v_faults || '"campaigns" must be a list of names, or null for all'::text;
    elsif v_campaigns is not null then
        select string_agg(distinct left(c, 60), ', ') into v_unknown
        from jsonb_array_elements_text(v_campaigns) c
        where not exists (select from pgdial.campaigns g where g.name = c);
        if v_unknown is not null then
            v_faults := v_faults || format('"campaigns" names some that there are not: %s', v_unknown);
        end if;
        if p_key ->> 'scope' = 'admin' then
            v_faults := v_faults || '"campaigns" cannot bind an admin, who makes keys: choose another scope'::text;
        end if;
    end if;
    if v_expires is not null and coalesce(pgdial.read_timestamp(v_expires) <= p_now, true) then
        v_faults := v_faults || '"expiresAt" must be a moment to come, as in 2030-01-31T09:00:00Z, or null for never'::text;
    end if;
    perform pgdial.refuse(v_faults);
end $$;

-- note_key: the audit of keys, also where a person changes a row by hand. Uses and hashes are not in it.
create or replace function pgdial.note_key() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hidden constant text[] := array['id', 'name', 'hash', 'created_at', 'created_by', 'revoked_at', 'used_at'];
    v_old jsonb := '{}';
    v_new jsonb := '{}';
    v_act text;
    v_changes jsonb;
begin
    if tg_op <> 'INSERT' then
        v_old := to_jsonb(old);
    end if;
    if tg_op <> 'DELETE' then
        v_new := to_jsonb(new);
    end if;
    select jsonb_object_agg(pgdial.camel(k), case tg_op when 'INSERT' then v_new -> k when 'DELETE' then v_old -> k
                                             else jsonb_build_array(v_old -> k, v_new -> k) end)
    into v_changes
    from jsonb_object_keys(v_old || v_new) k
    where k <> all (v_hidden) and v_old -> k is distinct from v_new -> k;
    v_act := case when tg_op = 'INSERT' then 'create'
                  when tg_op = 'DELETE' then 'remove'
                  when v_old ->> 'revoked_at' is null and v_new ->> 'revoked_at' is not null then 'revoke'
                  when v_changes is not null or v_old -> 'revoked_at' is distinct from v_new -> 'revoked_at' then 'set' end;
    if v_act is not null then
        perform pgdial.note_act(v_act, 'key', coalesce(v_new ->> 'name', v_old ->> 'name'),
            current_setting('pgdial.by', true), current_setting('pgdial.why', true),
            jsonb_build_object('hint', coalesce(v_new -> 'hint', v_old -> 'hint')) || coalesce(v_changes, '{}'));
    end if;
    return null;
end $$;

create or replace trigger note_key after insert or update or delete on pgdial.keys
    for each row execute function pgdial.note_key();

-- announce_keys: tell the servers, which know the keys by heart.
create or replace function pgdial.announce_keys() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('pgdial_keys', '');
    return null;
end $$;

-- Not on used_at, which requests update.
create or replace trigger announce after insert or delete or update of hash, name, scope, campaigns, numbers, expires_at, revoked_at
    on pgdial.keys for each statement execute function pgdial.announce_keys();
