-- heartbeat: a worker process reports every 15 s that it is alive, and learns whether to drain.
-- p_worker: {id, host, pid, release, permits, trunks, accounts?, adapters?: [{trunk, account, declares}], stopping}.
-- Returns {draining}.
-- What adapters declare is written only where it changes. Of several live workers with one trunk the one that started
-- last is believed, so that during a deployment they do not overwrite each other.
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

    insert into pgdial.trunk_adapter as a (trunk, account, declares, declared_at)
    select d.trunk, d.account, d.declares, w.seen_at
    from pgdial.workers w, jsonb_to_recordset(p_worker -> 'adapters') as d (trunk text, account text, declares jsonb)
    where w.id = (p_worker ->> 'id')::uuid
      and not exists (select from pgdial.trunk_adapter k
                      where k.trunk = d.trunk and k.declares = d.declares and k.account is not distinct from d.account)
      and not exists (select from pgdial.live_workers l
                      where d.trunk = any (l.trunks) and (l.started_at, l.id) > (w.started_at, w.id))
    order by d.trunk     -- two workers lock them in the same order
    on conflict (trunk) do update
    set account = excluded.account, declares = excluded.declares, declared_at = excluded.declared_at;

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
