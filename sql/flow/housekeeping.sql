-- housekeeping: partitions and statistics, once in a while, by any worker.
-- Security definer, because attaching, dropping and analysing belong to the owner.
-- p_keep: how long history is kept; null = for ever. Answers what was done.
-- Locks: 200 ms at most for attach and drop; who does not get them tries next time, so
-- that a reader with a long transaction delays nobody.
create or replace function pgdial.housekeeping(p_keep interval) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_done jsonb;
begin
    -- One at a time: two processes making the same partition would only disturb each other.
    if not pg_try_advisory_xact_lock(x'70676469'::int, 2) then
        return jsonb_build_object('busy', true);
    end if;
    -- Partitions last: their locks end with this transaction.
    v_done := jsonb_build_object('analyzed', pgdial.refresh_statistics(), 'workers', pgdial.forget_workers(v_now),
                                 'emptied', pgdial.forget_rest(v_now), 'acts', pgdial.drop_acts(v_now, p_keep));
    return v_done || jsonb_build_object(
        'attached', pgdial.ensure_partitions(v_now, 8), 'dropped', pgdial.drop_partitions(v_now, p_keep));
end $$;

-- ensure_partitions: this week and p_weeks ahead, and every week that has rows in the
-- default partition, which move to it. Made by create + attach, never by "partition of",
-- which would queue every writer behind one reader. The default partition is locked
-- before its rows move, so that none comes between the move and the attach.
-- A week is 168 hours of UTC, whatever the session's time zone does with its clocks.
create or replace function pgdial.ensure_partitions(p_now timestamptz, p_weeks int) returns int
language plpgsql volatile
set lock_timeout = '200ms'
set timezone = 'UTC'
as $$
declare
    v_from timestamptz;
    v_name text;
    v_n int := 0;
begin
    for v_from in
        select date_trunc('week', p_now) + w * '7 days'::interval from generate_series(0, p_weeks) w
        union
        select date_trunc('week', d.at) from pgdial.call_events_default d
        order by 1
    loop
        v_name := 'call_events_' || to_char(v_from, 'IYYY"w"IW');
        continue when to_regclass('pgdial.' || v_name) is not null;
        begin
            execute format('create table pgdial.%I (like pgdial.call_events including defaults including indexes)', v_name);
            lock table pgdial.call_events_default in access exclusive mode;
            execute format('with moved as (delete from pgdial.call_events_default where at >= %L and at < %L returning *)'
                           ' insert into pgdial.%I select * from moved', v_from, v_from + '7 days'::interval, v_name);
            execute format('alter table pgdial.call_events attach partition pgdial.%I for values from (%L) to (%L)',
                           v_name, v_from, v_from + '7 days'::interval);
            v_n := v_n + 1;
        exception when lock_not_available or check_violation then
            raise warning 'pgdial: partition % not attached yet, somebody holds call_events', v_name;
            exit;
        end;
    end loop;
    return v_n;
end $$;

-- drop_partitions: weeks that are older than p_keep and that no remaining call has
-- events in. Ids sort by creation, so the oldest call is the first of the primary key.
create or replace function pgdial.drop_partitions(p_now timestamptz, p_keep interval) returns int
language plpgsql volatile
set lock_timeout = '200ms'
set timezone = 'UTC'
as $$
declare
    v_oldest timestamptz := coalesce((select c.created_at from pgdial.calls c order by c.id limit 1), p_now);
    v_part record;
    v_n int := 0;
begin
    if p_keep is null then
        return 0;
    end if;
    for v_part in
        select k.relname as name, to_date(substr(k.relname, 13), 'IYYY"w"IW')::timestamp at time zone 'UTC' + '7 days' as ends
        from pg_inherits i join pg_class k on k.oid = i.inhrelid
        where i.inhparent = 'pgdial.call_events'::regclass and k.relname ~ '^call_events_\d{4}w\d\d$'
    loop
        continue when v_part.ends > least(v_oldest, p_now - p_keep);
        begin
            execute format('drop table pgdial.%I', v_part.name);
            v_n := v_n + 1;
        exception when lock_not_available then
            raise warning 'pgdial: partition % not dropped yet, somebody reads it', v_part.name;
            exit;   -- writers queue behind each try: one is enough
        end;
    end loop;
    return v_n;
end $$;

-- refresh_statistics: analyse a table that has grown much since it was analysed. The
-- plans of a table analysed while empty made the same claim 3.5 times slower, and
-- autovacuum's minute is long when a campaign fills a fresh installation.
create or replace function pgdial.refresh_statistics() returns int
language plpgsql volatile
as $$
declare
    v_name text;
    v_n int := 0;
begin
    for v_name in
        select s.relname from pg_stat_user_tables s
        where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events', 'campaigns', 'do_not_call')
          and s.n_mod_since_analyze > greatest(1000, s.n_live_tup / 2)
    loop
        execute format('analyze pgdial.%I', v_name);
        v_n := v_n + 1;
    end loop;
    return v_n;
exception when lock_not_available then
    return v_n;   -- somebody else is analysing it
end $$;

-- forget_workers: rows of processes that are gone, once nothing in flight names them; and
-- old notes of calls that could not be claimed.
create or replace function pgdial.forget_workers(p_now timestamptz) returns int
language sql volatile
as $$
    with notes as (
        delete from pgdial.unclaimable o where o.until < p_now - '1 hour'::interval
    ), gone as (
        delete from pgdial.workers w
        where w.seen_at < p_now - '1 day'::interval
          and not exists (select from pgdial.calls c
                          where c.claimed_by = w.id and c.state in ('dialing', 'unresolved', 'in_call'))
        returning w.id
    )
    select count(*)::int from gone
$$;

-- drop_acts: what people did is kept as long as finished calls are, and 400 days at least.
create or replace function pgdial.drop_acts(p_now timestamptz, p_keep interval) returns int
language plpgsql volatile
as $$
declare
    v_n int;
begin
    delete from pgdial.acts a
    where a.seq in (select o.seq from pgdial.acts o
                    where o.at < p_now - greatest(p_keep, '400 days'::interval) and p_keep is not null
                    order by o.seq limit 10000);
    get diagnostics v_n = row_count;
    return v_n;
end $$;
