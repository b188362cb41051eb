-- worker_seen: a worker process says that it is alive; every 15 s.
-- p_worker: {id, host, pid, release, permits, trunks, stopping}.
create or replace function pgdial.worker_seen(p_worker jsonb) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into pgdial.workers as w (id, host, pid, release, permits, trunks, started_at, seen_at, stopping)
    select r.id, r.host, r.pid, r.release, r.permits, r.trunks, t.at, t.at, r.stopping
    from jsonb_to_record(p_worker) as r (id uuid, host text, pid int, release text, permits int,
                                         trunks text[], stopping boolean),
         (select pgdial.now()) as t (at)
    on conflict (id) do update set seen_at = excluded.seen_at, stopping = excluded.stopping
$$;
