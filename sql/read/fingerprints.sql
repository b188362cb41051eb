-- What the catalog holds of pgdial, each object with the statement, or the fact, that makes it. Weeks of events
-- come and go, so objects of a single week are left out; also not-null constraints, which servers from 18 on
-- list separately. Defaults are policy: an operator may have changed them.
select f.kind, f.name, f.definition
from (
    select 'function' as kind, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
           pg_get_functiondef(p.oid) as definition
    from pg_proc p where p.pronamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'view', k.relname, pg_get_viewdef(k.oid)
    from pg_class k where k.relkind = 'v' and k.relnamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'trigger', t.tgname || ' on pgdial.' || k.relname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
    from pg_trigger t join pg_class k on k.oid = t.tgrelid
    where not t.tgisinternal and not k.relispartition
      and k.relnamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'index', k.relname, pg_get_indexdef(k.oid)
    from pg_index i join pg_class k on k.oid = i.indexrelid
    where not k.relispartition and not exists (select from pg_constraint c where c.conindid = k.oid and c.contype in ('p', 'u', 'x'))
      and k.relnamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'constraint', c.conname || ' on pgdial.' || k.relname, pg_get_constraintdef(c.oid)
    from pg_constraint c join pg_class k on k.oid = c.conrelid
    where c.contype in ('c', 'p', 'u', 'f', 'x') and not k.relispartition
      and c.connamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'column', k.relname || '.' || a.attname,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end)
    from pg_class k join pg_attribute a on a.attrelid = k.oid and a.attnum > 0 and not a.attisdropped
    where k.relkind in ('r', 'p', 'c') and not k.relispartition
      and k.relnamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
    union all
    select 'settings', k.relname, array_to_string(array(select o from unnest(k.reloptions) o order by o), ', ')
    from pg_class k
    where k.relkind in ('r', 'p') and not k.relispartition and k.reloptions is not null
      and k.relnamespace = (select n.oid from pg_namespace n where n.nspname = 'pgdial')
) f
