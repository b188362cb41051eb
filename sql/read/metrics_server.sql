-- What /metrics shows of the server, as one JSON object: separate from the queue, since a managed server may
-- withhold it.
-- oldestSnapshotSec: of the sessions that this login may see (pg_read_all_stats: all of them).
select jsonb_build_object(
    'tables', (select coalesce(jsonb_agg(jsonb_build_object('name', s.relname, 'dead', s.n_dead_tup)), '[]')
               from pg_stat_user_tables s
               where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events', 'workers', 'trunk_pace')),
    'oldestSnapshotSec', (select coalesce(max(extract(epoch from clock_timestamp() - a.xact_start)), 0)
                          from pg_stat_activity a
                          where a.datname = current_database() and a.backend_type in ('client backend', 'walsender')
                            and a.backend_xmin is not null and a.pid <> pg_backend_pid()),
    'notificationUsage', pg_notification_queue_usage()) as metrics
