-- drain: tells a worker to finish. From now on `claim` gives it no calls, whatever its release; it learns of
-- the drain with its next heartbeat, for which it is woken, and finishes the dials under way. A `work`
-- process then exits; a `serve` process goes on as API and sweep. A drain cannot be undone: restart the
-- process, which makes it a new worker.
-- Returns draining, already_draining, stopping (it is shutting down already) or not_found.
--   select pgdial.drain('0193b1c2-8a40-7c3e-9d11-2f6a5b7c8d90', 'kernel update');          -- an id of live_workers
-- Races: a claim that is already at the gate still returns its calls, and the worker dials them.
-- Index: primary key of workers.
create or replace function pgdial.drain(p_worker uuid, p_why text, p_by text default session_user) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    v_worker pgdial.workers;
begin
    select w.* into v_worker from pgdial.workers w where w.id = p_worker for update;
    if not found then
        return 'not_found';
    elsif v_worker.draining then
        return 'already_draining';
    elsif v_worker.stopping then
        return 'stopping';
    end if;
    update pgdial.workers w set draining = true where w.id = p_worker;
    perform pgdial.note_act('drain', 'worker', p_worker::text, p_by, p_why,
                            jsonb_build_object('host', v_worker.host, 'pid', v_worker.pid));
    -- Releases that do not know this payload treat it as `claim`, and get no calls.
    perform pgdial.wake('drain');
    return 'draining';
end $$;
