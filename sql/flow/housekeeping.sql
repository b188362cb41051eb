-- housekeeping: partitions, statistics and retention; run periodically by any worker.
-- Security definer, because attaching, dropping and analysing are reserved to the owner.
-- p_keep: how long history is kept; null = for ever. p_step: only this step; null = all.
-- Returns how much each step did, and under `failed` what went wrong in which; `busy`: another process is doing
-- it. Each step is rolled back alone, and pgdial.housekeeping_steps keeps its result for doctor and the
-- metrics. Workers run one step per statement, so that one that takes too long is also ended alone.
--   select pgdial.housekeeping('30 days');
-- Locks: attach and drop wait at most 200 ms; a step that times out tries again next time, so a reader with a
-- long transaction delays nobody.
create or replace function pgdial.housekeeping(p_keep interval, p_step text default null) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
    v_now constant timestamptz := pgdial.now();
    v_step text;
    v_detail text;
    v_did record;
    v_done jsonb := '{}';
    v_failed jsonb := '{}';
    v_canceled boolean := false;
begin
    -- One at a time: two processes making the same partition would only block each other.
    if not pg_try_advisory_xact_lock(x'70676469'::int, 2) then
        return jsonb_build_object('busy', true);
    end if;
    for v_step in
        select s.step from pgdial.housekeeping_steps s where s.step = coalesce(p_step, s.step) order by s.ordinal
    loop
        begin
            select d.done, d.trouble into v_did from pgdial.housekeeping_step(v_step, v_now, p_keep) d;
        exception
            when query_canceled then     -- statement timeout or a cancel request
                select null::int as done, sqlerrm as trouble into v_did;
                v_canceled := true;
            when others then
                get stacked diagnostics v_detail = pg_exception_detail;
                select null::int as done, concat_ws(': ', sqlerrm, nullif(v_detail, '')) as trouble into v_did;
        end;
        perform pgdial.note_step(v_step, v_did.trouble, v_now);
        v_done := v_done || jsonb_build_object(v_step, v_did.done);
        v_failed := v_failed || jsonb_strip_nulls(jsonb_build_object(v_step, pgdial.masked(v_did.trouble)));
        exit when v_canceled;
    end loop;
    return jsonb_strip_nulls(v_done || jsonb_build_object('failed', nullif(v_failed, '{}')));
end $$;

-- housekeeping_step: one step; how much it did, and what it could not do.
create or replace function pgdial.housekeeping_step(
    p_step text, p_now timestamptz, p_keep interval, out done int, out trouble text
)
language plpgsql volatile
as $$
begin
    case p_step
        when 'refresh_statistics' then done := pgdial.refresh_statistics();
        when 'forget_workers' then done := pgdial.forget_workers(p_now) + pgdial.drop_answers(p_now);
        when 'forget_rest' then done := pgdial.forget_rest(p_now);
        when 'drop_acts' then done := pgdial.drop_acts(p_now, p_keep);
        when 'drop_dials' then done := pgdial.drop_dials(p_now);
        when 'drop_list_entries' then done := pgdial.drop_list_entries(p_now);
        when 'drop_deliveries' then done := pgdial.drop_deliveries(p_now, p_keep);
        when 'ensure_partitions' then select e.done, e.trouble into done, trouble from pgdial.ensure_partitions(p_now, 8) e;
        when 'drop_partitions' then select d.done, d.trouble into done, trouble from pgdial.drop_partitions(p_now, p_keep) d;
    end case;
end $$;

-- note_step: record the result of a step. Numbers in the error are masked: it may quote a row.
-- Races: a locked row is skipped, so that it cannot delay the step itself.
create or replace function pgdial.note_step(p_step text, p_trouble text, p_now timestamptz) returns void
language plpgsql volatile
as $$
begin
    update pgdial.housekeeping_steps s
    set done_at = case when p_trouble is null then p_now else s.done_at end,
        failed_at = case when p_trouble is null then s.failed_at else p_now end,
        failures = case when p_trouble is null then 0 else s.failures + 1 end,
        error = coalesce(pgdial.masked(p_trouble), s.error)
    where s.step in (select o.step from pgdial.housekeeping_steps o where o.step = p_step for update skip locked);
end $$;

-- drop_answers: provider responses of campaigns that have not dialled since (sql/rules/evidence.sql).
create or replace function pgdial.drop_answers(p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_n int;
begin
    delete from pgdial.answers a
    where a.seq in (select s.seq from pgdial.answers s where s.at <= p_now - '1 hour'::interval for update skip locked);
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- ensure_partitions: make this week's, those of p_weeks ahead, and one for every week that has rows in the
-- default partition, which move to it. Returns how many it made, and what prevented others. A week is 168 hours
-- of UTC, whatever the session's time zone does at clock changes.
create or replace function pgdial.ensure_partitions(p_now timestamptz, p_weeks int, out done int, out trouble text)
language plpgsql volatile
set lock_timeout = '200ms'
set timezone = 'UTC'
as $$
declare
    v_from timestamptz;
    v_name text;
    v_detail text;
    v_troubles text[] := '{}';
begin
    done := 0;
    for v_from in
        select date_trunc('week', p_now) + w * '7 days'::interval from generate_series(0, p_weeks) w
        union
        select date_trunc('week', d.at) from pgdial.call_events_default d
        order by 1
    loop
        v_name := 'call_events_' || to_char(v_from, 'IYYY"w"IW');
        continue when exists (select from pg_inherits i join pg_class k on k.oid = i.inhrelid
                              where i.inhparent = 'pgdial.call_events'::regclass and k.relname = v_name);
        if to_regclass('pgdial.' || v_name) is not null then
            v_troubles := v_troubles || format('pgdial.%s is there already, and no partition of call_events: attach it, or give it another name', v_name);
            continue;
        end if;
        begin
            perform pgdial.make_week(v_name, v_from);
            done := done + 1;
        exception when others then
            get stacked diagnostics v_detail = pg_exception_detail;
            v_troubles := v_troubles || concat_ws(': ', v_name || ' cannot be attached', sqlerrm, nullif(v_detail, ''));
            exit when sqlstate = '55P03';   -- call_events is locked, and each try makes writers queue: one is enough
        end;
    end loop;
    trouble := nullif(array_to_string(v_troubles, '; '), '');
end $$;

-- make_week: one partition. Made by create + attach, never by "partition of", which would queue every writer
-- behind one reader. The default partition is locked before its rows move, so that none is added between the
-- move and the attach.
-- The rows move through a table that is in no publication, and into the new week through its parent: a
-- logical-replication subscriber never sees a table it does not know.
create or replace function pgdial.make_week(p_name text, p_from timestamptz) returns void
language plpgsql volatile
as $$
declare
    v_moves boolean;
begin
    execute format('create table pgdial.%I (like pgdial.call_events including defaults including indexes)', p_name);
    -- The owner's default privileges may have opened it.
    execute format('revoke all on pgdial.%I from public', p_name);
    lock table pgdial.call_events_default in access exclusive mode;
    v_moves := exists (select from pgdial.call_events_default d where d.at >= p_from and d.at < p_from + '7 days'::interval);
    if v_moves then
        create unlogged table pgdial.call_events_moving (like pgdial.call_events);
        execute 'with moved as (delete from pgdial.call_events_default where at >= $1 and at < $2 returning *)'
                ' insert into pgdial.call_events_moving select * from moved' using p_from, p_from + '7 days'::interval;
    end if;
    execute format('alter table pgdial.call_events attach partition pgdial.%I for values from (%L) to (%L)',
                   p_name, p_from, p_from + '7 days'::interval);
    if v_moves then
        execute 'insert into pgdial.call_events select * from pgdial.call_events_moving';
        drop table pgdial.call_events_moving;
    end if;
end $$;

-- drop_partitions: weeks that are older than p_keep and hold no events of remaining calls. Ids sort by
-- creation, so the oldest call is the first in the primary key. Returns how many were dropped, and which could
-- not be: one that a user's view depends on does not stop the others.
create or replace function pgdial.drop_partitions(p_now timestamptz, p_keep interval, out done int, out trouble text)
language plpgsql volatile
set lock_timeout = '200ms'
set timezone = 'UTC'
as $$
declare
    v_oldest timestamptz := coalesce((select c.created_at from pgdial.calls c order by c.id limit 1), p_now);
    v_part record;
    v_detail text;
    v_troubles text[] := '{}';
begin
    done := 0;
    if p_keep is null then
        return;
    end if;
    for v_part in
        select k.relname as name, to_date(substr(k.relname, 13), 'IYYY"w"IW')::timestamp at time zone 'UTC' + '7 days' as ends
        from pg_inherits i join pg_class k on k.oid = i.inhrelid
        where i.inhparent = 'pgdial.call_events'::regclass and k.relname ~ '^call_events_[0-9]{4}w[0-9]{2}$'
        order by 1
    loop
        continue when v_part.ends > least(v_oldest, p_now - p_keep);
        begin
            execute format('drop table pgdial.%I', v_part.name);
            done := done + 1;
        exception when others then
            get stacked diagnostics v_detail = pg_exception_detail;
            v_troubles := v_troubles || concat_ws(': ', v_part.name || ' cannot be dropped', sqlerrm, nullif(v_detail, ''));
            exit when sqlstate = '55P03';   -- it is locked, and each try makes writers queue: one is enough
        end;
    end loop;
    trouble := nullif(array_to_string(v_troubles, '; '), '');
end $$;

-- refresh_statistics: analyse a table that has grown much since its last analyse. Plans made from the
-- statistics of an empty table are slow, and autovacuum may take a minute to notice a campaign that fills a
-- fresh installation.
create or replace function pgdial.refresh_statistics() returns int
language plpgsql volatile
as $$
declare
    v_name text;
    v_n int := 0;
begin
    for v_name in
        select s.relname from pg_stat_user_tables s
        where s.schemaname = 'pgdial' and s.relname in ('calls', 'webhook_events', 'campaigns', 'do_not_call', 'dials')
          and s.n_mod_since_analyze > greatest(1000, s.n_live_tup / 2)
    loop
        execute format('analyze pgdial.%I', v_name);
        v_n := v_n + 1;
    end loop;
    return v_n;
exception when lock_not_available then
    return v_n;   -- another session is analysing it
end $$;

-- forget_workers: delete the rows of processes that are gone, once no call in flight names them, and old notes
-- of calls that could not be claimed.
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

-- drop_acts: acts are kept as long as finished calls, and for at least 400 days.
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

-- drop_list_entries: entries of the do-not-call list that are over. They forbid nothing any more; the acts keep who
-- added them.
create or replace function pgdial.drop_list_entries(p_now timestamptz) returns int
language plpgsql volatile
as $$
declare
    v_n int;
begin
    delete from pgdial.do_not_call d
    where (d.phone, d.topic, d.campaign) in (
        select o.phone, o.topic, o.campaign from pgdial.do_not_call o
        where o.until is not null and o.until <= p_now
        order by o.until limit 10000 for update skip locked);
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- drop_deliveries: deliveries that ended a week ago, or earlier where calls are kept for less; those to endpoints that
-- are gone; and secrets that sign no more.
create or replace function pgdial.drop_deliveries(p_now timestamptz, p_keep interval) returns int
language plpgsql volatile
set enable_seqscan = off
as $$
declare
    c_most constant int := 50000;
    v_n int;
    v_gone int;
begin
    delete from pgdial.endpoint_secrets s where s.until <= p_now;
    with old as (
        select d.endpoint, d.xid, d.seq from pgdial.deliveries d
        where d.ended_at < p_now - least(p_keep, '7 days'::interval)
        order by d.ended_at limit c_most for update skip locked
    )
    delete from pgdial.deliveries d using old o where d.endpoint = o.endpoint and d.xid = o.xid and d.seq = o.seq;
    get diagnostics v_n = row_count;
    -- Their ids, by jumping along the primary key.
    with recursive known (endpoint) as (
        (select d.endpoint from pgdial.deliveries d order by d.endpoint limit 1)
        union all
        select (select d.endpoint from pgdial.deliveries d where d.endpoint > k.endpoint order by d.endpoint limit 1)
        from known k where k.endpoint is not null
    ), left_over as (
        select d.endpoint, d.xid, d.seq from known k join pgdial.deliveries d on d.endpoint = k.endpoint
        where not exists (select from pgdial.endpoints e where e.id = k.endpoint)
        limit c_most
    )
    delete from pgdial.deliveries d using left_over o where d.endpoint = o.endpoint and d.xid = o.xid and d.seq = o.seq;
    get diagnostics v_gone = row_count;
    return v_n + v_gone;
end $$;
