-- heartbeat: a worker process reports every 15 s that it is alive, and learns whether to drain.
-- p_worker: {id, host, pid, release, permits, trunks, accounts?, stopping}.
-- Returns {draining}.
-- It also records that the database still runs where it was noted: if that changes, what was committed after
-- the last heartbeat may be lost (recover_begin).
create or replace function pgdial.heartbeat(p_worker jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgdial.workers as w (id, host, pid, release, permits, trunks, accounts, started_at, seen_at, stopping)
    select r.id, r.host, r.pid, r.release, r.permits, r.trunks, r.accounts, t.at, t.at, r.stopping
    from jsonb_to_record(p_worker) as r (id uuid, host text, pid int, release text, permits int,
                                         trunks text[], accounts text[], stopping boolean),
         (select pgdial.now()) as t (at)
    on conflict (id) do update set seen_at = excluded.seen_at, stopping = excluded.stopping;

    update pgdial.cluster k
    set seen_at = (select pgdial.now()),
        -- What the server withheld so far, and reveals now.
        system_identifier = coalesce(k.system_identifier, p.system_identifier),
        -- cluster_changed accepts another timeline only where the operator vouches that no commit is lost by
        -- it.
        timeline = case when k.synchronous then coalesce(p.timeline, k.timeline) else coalesce(k.timeline, p.timeline) end
    from pgdial.place() p
    where k.lost_since is null and pgdial.cluster_changed() is null;

    return (select jsonb_build_object('draining', w.draining)
            from pgdial.workers w where w.id = (p_worker ->> 'id')::uuid);
end $$;
