-- Tables of the same shape as pgdial's, made from them so that they cannot drift apart: the
-- same columns, defaults, indexes and storage parameters, history partitioned by week with
-- the same index. Left out is what Postgres alone would not need: checks, grants, functions.
drop schema if exists bare cascade;
create schema bare;

create table bare.calls (like pgdial.calls including defaults including indexes including storage);
create table bare.call_events (like pgdial.call_events including defaults including indexes) partition by range (at);
create table bare.call_events_default partition of bare.call_events default;

do $$
declare
    v_parameters constant text := (select array_to_string(k.reloptions, ', ') from pg_class k
                                   where k.oid = 'pgdial.calls'::regclass);
    v_week timestamptz;
begin
    if v_parameters <> '' then
        execute format('alter table bare.calls set (%s)', v_parameters);
    end if;
    for v_week in select date_trunc('week', now() at time zone 'UTC') at time zone 'UTC' + w * interval '7 days'
                  from generate_series(0, 8) w
    loop
        execute format('create table bare.%I partition of bare.call_events for values from (%L) to (%L)',
                       'call_events_' || to_char(v_week at time zone 'UTC', 'IYYY"w"IW'), v_week, v_week + interval '7 days');
    end loop;
end $$;
