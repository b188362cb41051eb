-- note_act: append one act to the audit. p_by: who, in their own words; the row also keeps the login, which is
-- the connection's.
create or replace function pgdial.note_act(
    p_act text, p_kind text, p_name text, p_by text, p_why text, p_detail jsonb default '{}'
) returns void
language plpgsql volatile
as $$
begin
    insert into pgdial.acts (at, by, act, kind, name, why, detail)
    values (pgdial.now(), coalesce(nullif(p_by, ''), session_user), p_act, p_kind, p_name, nullif(p_why, ''),
            jsonb_strip_nulls(coalesce(p_detail, '{}')));
end $$;

-- act_as: who makes the changes of trunks, campaigns and contact limits that follow in a verb, and why. Returns the previous
-- values, which the verb restores at its end; an error restores them by itself. A person who updates a row by
-- hand can state the reason the same way: set pgdial.why = 'ticket 4711'.
-- Not a "set" clause on the verbs, which would restore by itself: only a superuser may write one for a setting
-- that Postgres does not know.
create or replace function pgdial.act_as(p_by text, p_why text) returns text[]
language plpgsql volatile
as $$
declare
    v_before constant text[] := array[current_setting('pgdial.by', true), current_setting('pgdial.why', true)];
begin
    perform set_config('pgdial.by', coalesce(p_by, ''), true), set_config('pgdial.why', coalesce(p_why, ''), true);
    return v_before;
end $$;

-- act_about: which calls caused the change that follows; the audit names them. Returns the previous value, to
-- restore.
create or replace function pgdial.act_about(p_calls uuid[]) returns text
language plpgsql volatile
as $$
declare
    v_before constant text := coalesce(current_setting('pgdial.about', true), '');
begin
    perform set_config('pgdial.about', to_jsonb(p_calls)::text, true);
    return v_before;
end $$;

-- note_change: record a change of a trunk, a campaign, a caller id, a contact limit or an endpoint, by whatever path it was made: a verb, the program
-- itself, a plain UPDATE. One act per row, with the old and the new value of each field; an update that changes
-- nothing leaves none.
-- Security definer: a role that may update a trunk need not be able to write the audit.
create or replace function pgdial.note_change() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = iso_8601
as $$
declare
    v_kind constant text := rtrim(tg_table_name, 's');
    v_own constant text[] := array['paused', 'paused_at', 'paused_by', 'paused_why', 'resumed_at', 'created_at', 'archived_at'];
    v_about constant text := nullif(current_setting('pgdial.about', true), '');
    v_old jsonb := '{}';
    v_new jsonb := '{}';
    v_pause boolean := false;
    v_changes jsonb;
    v_act text;
begin
    if tg_op <> 'INSERT' then
        v_old := to_jsonb(old);
    end if;
    if tg_op <> 'DELETE' then
        v_new := to_jsonb(new);
        v_pause := coalesce((v_new ->> 'paused')::boolean, false);
    end if;
    select jsonb_object_agg(pgdial.camel(k), case tg_op when 'INSERT' then v_new -> k when 'DELETE' then v_old -> k
                                                 else jsonb_build_array(v_old -> k, v_new -> k) end)
    into v_changes
    from jsonb_object_keys(v_old || v_new) k
    where k <> all (v_own) and v_old -> k is distinct from v_new -> k;
    v_act := case when tg_op = 'INSERT' then 'create'
                  when tg_op = 'DELETE' then 'remove'
                  when v_new ->> 'archived_at' is distinct from v_old ->> 'archived_at'
                      then case when v_new ->> 'archived_at' is null then 'unarchive' else 'archive' end
                  when v_pause and v_new -> 'paused_at' is distinct from v_old -> 'paused_at' then 'pause'
                  when (v_old ->> 'paused')::boolean and not v_pause then 'resume'
                  when v_changes is not null then 'set' end;
    if v_act is not null then
        perform pgdial.note_act(
            v_act, v_kind, coalesce(v_new ->> 'name', v_new ->> 'number', v_old ->> 'name', v_old ->> 'number'),
            coalesce(case when v_act = 'pause' then v_new ->> 'paused_by' end, current_setting('pgdial.by', true)),
            coalesce(case when v_act = 'pause' then v_new ->> 'paused_why' end, current_setting('pgdial.why', true)),
            case when v_about is null then v_changes
                 else coalesce(v_changes, '{}') || jsonb_build_object('calls', v_about::jsonb) end);
    end if;
    return null;
end $$;

create or replace trigger note_change after insert or update or delete on pgdial.trunks
    for each row execute function pgdial.note_change();
create or replace trigger note_change after insert or update or delete on pgdial.campaigns
    for each row execute function pgdial.note_change();
create or replace trigger note_change after insert or update or delete on pgdial.contact_limits
    for each row execute function pgdial.note_change();
create or replace trigger note_change after insert or update or delete on pgdial.caller_ids
    for each row execute function pgdial.note_change();
create or replace trigger note_change after insert or update or delete on pgdial.endpoints
    for each row execute function pgdial.note_change();

-- camel: calls_per_second -> callsPerSecond, the spelling in all JSON.
create or replace function pgdial.camel(p_name text) returns text
language sql immutable parallel safe
as $$ select left(p_name, 1) || substr(replace(initcap(replace(p_name, '_', ' ')), ' ', ''), 2) $$;
