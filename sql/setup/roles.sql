-- roles: the three roles of pgdial, made by an administrator, once in each database and again whenever you
-- like; existing roles stay. Run it as a superuser, or, if there is no schema pgdial yet, as the owner of the
-- database with the right to create roles:
--
--     psql -d DATABASE -f sql/setup/roles.sql
--
-- Then give each login its role, let the first of them migrate, and point the processes at the second:
--
--     create role pgdial_deploy login password '...' in role pgdial_owner;   -- pgdial migrate
--     create role pgdial_run    login password '...' in role pgdial_worker;  -- serve, api, work, the commands
--     create role ann           login password '...' in role pgdial_reader;  -- sql/ops, the views, why
--
-- `pgdial migrate` grants what the roles may do (sql/rules/grants.sql). It does so as pgdial_owner, whichever
-- of its members calls it, so that everything has one owner.
-- An application that only enqueues, in its own transactions, needs none of the roles:
--
--     grant usage on schema pgdial to app;
--     grant execute on function pgdial.enqueue(jsonb) to app;
--
-- A creator of the roles who is not a superuser can give them to logins, but from Postgres 16 on cannot act as
-- them: to migrate with the same login, `grant pgdial_owner to` it first.
--
-- Two decisions are left to you. Any login that can connect can take an advisory lock, and so hold up the
-- claim, without any right on pgdial; in a database that holds pgdial alone:
--
--     revoke connect, temporary on database DATABASE from public;
--
-- And without this, sql/ops/health.sql cannot see the transactions of others; with it, a reader sees the
-- statements of every database of the server:
--
--     grant pg_read_all_stats to pgdial_reader;
--
-- Races: two databases of one server may be prepared at once, and they share the roles.
do $$
declare
    v_statement text;
    v_role text;
begin
    foreach v_role in array array['pgdial_owner', 'pgdial_worker', 'pgdial_reader'] loop
        begin
            execute format('create role %I nologin', v_role);
        exception when duplicate_object or unique_violation then
            null;   -- it exists, or a concurrent run was faster
        end;
        execute format('grant connect on database %I to %I', current_database(), v_role);
    end loop;
    -- With these pgdial notices that it runs elsewhere (sql/rules/cluster.sql), even if they are revoked from
    -- PUBLIC. If this login cannot grant them, they stay as they are.
    begin
        grant execute on function pg_control_system(), pg_current_wal_lsn(), pg_walfile_name(pg_lsn) to pgdial_owner;
    exception when insufficient_privilege then
        null;
    end;
    -- The first migration makes the schema and everything in it.
    execute format('grant create on database %I to pgdial_owner', current_database());

    -- An existing schema: it and everything in it change owner. Sequences go with their tables.
    for v_statement in
        select format('alter schema pgdial owner to pgdial_owner')
        from pg_namespace n where n.nspname = 'pgdial' and n.nspowner <> 'pgdial_owner'::regrole
        union all
        select format('alter %s pgdial.%I owner to pgdial_owner',
                      case k.relkind when 'v' then 'view' else 'table' end, k.relname)
        from pg_class k
        where k.relnamespace = to_regnamespace('pgdial') and k.relkind in ('r', 'p', 'v')
          and k.relowner <> 'pgdial_owner'::regrole
        union all
        select format('alter type pgdial.%I owner to pgdial_owner', t.typname)
        from pg_type t left join pg_class k on k.oid = t.typrelid
        where t.typnamespace = to_regnamespace('pgdial') and (t.typtype = 'e' or k.relkind = 'c')
          and t.typowner <> 'pgdial_owner'::regrole
        union all
        select format('alter routine %s owner to pgdial_owner', p.oid::regprocedure)
        from pg_proc p
        where p.pronamespace = to_regnamespace('pgdial') and p.proowner <> 'pgdial_owner'::regrole
    loop
        execute v_statement;
    end loop;
end $$;
