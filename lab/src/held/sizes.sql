-- What the tables hold now; dead rows as the last vacuum or the statistics have them.
select coalesce((select n_dead_tup from pg_stat_user_tables where relid = 'pgdial.calls'::regclass), 0) as dead,
       (select count(*) from pgdial.calls) as calls,
       pg_relation_size('pgdial.calls') as table,
       pg_indexes_size('pgdial.calls') as indexes,
       (select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint
        from pg_inherits i where i.inhparent = 'pgdial.call_events'::regclass) as events
