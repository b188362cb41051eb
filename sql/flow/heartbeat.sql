-- heartbeat: a worker process says that it is alive, and hears what it is told; every 15 s.
-- p_worker: {id, host, pid, release, permits, trunks, accounts?, stopping}.
-- Answers {draining}.
-- It also says that the database is where it was noted: what commits after that may be lost
-- when it is not (recover_begin).
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
        -- What a server did not say before, and does now.
        system_identifier = coalesce(k.system_identifier, p.system_identifier),
        -- cluster_changed passes another one only where somebody vouches that nothing is lost by it.
        timeline = case when k.synchronous then coalesce(p.timeline, k.timeline) else coalesce(k.timeline, p.timeline) end
    from pgdial.place() p
    where k.lost_since is null and pgdial.cluster_changed() is null;

    return (select jsonb_build_object('draining', w.draining)
            from pgdial.workers w where w.id = (p_worker ->> 'id')::uuid);
end $$;
