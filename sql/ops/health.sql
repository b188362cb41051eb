-- health: is the database itself well?
-- One row for each thing known to slow down queues: its value, and "look" if it needs attention; "hidden" if
-- this login may not see it (the sessions of others: grant it pg_read_all_stats). Dead rows come from a vacuum
-- that does not keep up, mostly because of an old transaction (its session and age are shown); rows in the
-- default partition from housekeeping that does not run.
-- Cost: reads the catalog and the statistics, and counts up to 10,000 rows of the default partition, which is
-- nearly always empty, and of parked events.
begin read only;
set local statement_timeout = '10s';
set local jit = off;

with oldest as (
    select a.pid, a.application_name, a.state, a.xact_start,
           greatest(age(a.backend_xmin), age(a.backend_xid)) as xids
    from pg_stat_activity a
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start is not null
    order by a.xact_start limit 1
), part as (
    select count(*) filter (where k.week > (select pgdial.now())::date) as ahead, count(*) as weeks,
           min(k.week) as first, sum(pg_total_relation_size(k.oid)) as bytes
    from (select c.oid, to_date(substr(c.relname, 13), 'IYYY"w"IW') as week
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent = 'pgdial.call_events'::regclass and c.relname ~ '^call_events_[0-9]{4}w[0-9]{2}$') k
), horizon (who, xids) as (
    -- What keeps vacuum from removing dead rows, apart from transactions of this database.
    select 'replication slot ' || s.slot_name, greatest(age(s.xmin), age(s.catalog_xmin)) from pg_replication_slots s
    union all
    select 'prepared transaction ' || p.gid, age(p.transaction) from pg_prepared_xacts p where p.database = current_database()
    union all
    select 'standby ' || coalesce(nullif(r.application_name, ''), r.pid::text), age(r.backend_xmin) from pg_stat_replication r
), thing (ord, thing, value, look) as (
    select 1, 'rows of ' || s.relname, s.n_live_tup || ' live, ' || s.n_dead_tup || ' dead, '
           || pg_size_pretty(pg_total_relation_size(s.relid)),
           s.n_dead_tup > 10000 and s.n_dead_tup > s.n_live_tup / 5
    from pg_stat_user_tables s where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events')
    union all
    select 2, 'last vacuum of ' || s.relname, coalesce(greatest(s.last_vacuum, s.last_autovacuum)::text, 'never'), false
    from pg_stat_user_tables s where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events')
    union all
    select 3, 'last analyze of ' || s.relname, coalesce(greatest(s.last_analyze, s.last_autoanalyze)::text, 'never'),
           s.n_mod_since_analyze > greatest(1000, s.n_live_tup)
    from pg_stat_user_tables s where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events')
    union all
    select 4, 'oldest transaction', coalesce((
               select format('%s, %s since %s (pid %s), holds %s transactions', coalesce(nullif(o.application_name, ''), 'a session'),
                             o.state, date_trunc('second', o.xact_start), o.pid, coalesce(o.xids, 0)) from oldest o), 'none'),
           case when exists (select from oldest o where o.xact_start < clock_timestamp() - interval '5 minutes') then true
                when pg_has_role('pg_read_all_stats', 'usage') then false end
    union all
    select 4, 'oldest snapshot elsewhere', coalesce((
               select format('%s holds %s transactions', h.who, h.xids) from horizon h
               where h.xids is not null order by h.xids desc limit 1), 'none'),
           coalesce((select max(h.xids) from horizon h), 0) > 1000000
    union all
    select 5, 'weeks of call_events ahead', p.ahead::text, p.ahead < 4 from part p
    union all
    select 5, 'weeks of call_events', format('%s since %s, %s', p.weeks, p.first, pg_size_pretty(p.bytes)), false from part p
    union all
    select 6, 'rows in call_events_default', case when d.n > 10000 then 'more than 10000' else d.n::text end, d.n > 0
    from (select count(*) as n from (select from pgdial.call_events_default limit 10001) e) d
    union all
    select 7, 'webhook events parked', case when w.n > 10000 then 'more than 10000' else w.n::text end, w.n > 0
    from (select count(*) as n from (select from pgdial.webhook_events e
                                     where e.verdict = 'parked' and e.call_id is not null limit 10001) p) w
    union all
    select 7, 'webhook events of unknown calls', case when w.n > 10000 then 'more than 10000' else w.n::text end, w.n > 10000
    from (select count(*) as n from (select from pgdial.webhook_events e
                                     where e.verdict = 'parked' and e.call_id is null limit 10001) p) w
    union all
    select 8, 'notification queue used', round(100 * pg_notification_queue_usage()::numeric, 2) || ' %',
           pg_notification_queue_usage() > 0.1
    union all
    select 9, 'invalid indexes', coalesce(string_agg(i.indexrelid::regclass::text, ', '), 'none'), count(*) > 0
    from pg_index i join pg_class k on k.oid = i.indrelid
    where k.relnamespace = 'pgdial'::regnamespace and not (i.indisvalid and i.indisready)
    union all
    select 10, 'clock', case when c.ahead = interval '0' then 'real' else 'moved by ' || c.ahead end, c.ahead <> interval '0'
    from pgdial.clock c
    union all
    select 11, 'release of the functions', h.release || ', applied ' || date_trunc('second', h.applied_at), false
    from (select s.release, s.applied_at from pgdial.schema_history s where s.kind = 'functions'
          order by s.seq desc limit 1) h
)
select t.thing, t.value, case when t.look then 'look' when t.look is null then 'hidden' else 'ok' end as verdict
from thing t
order by t.ord, t.thing;

commit;
