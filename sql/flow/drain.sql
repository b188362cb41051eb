-- drain: a worker is told to go. It claims nothing from now on (claim says so, whatever
-- its release), hears of it with its next heartbeat, for which it is woken, finishes the dials
-- under way, and then a process of `work` ends; one of `serve` goes on as API and sweep. There is
-- no way back but to start the process again, which is a new worker.
-- Answers draining, already_draining, stopping (it is going already) or not_found.
-- Races: a claim that is at the gate just now still brings its calls, which the worker dials.
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
    -- Releases that do not know the word take it for `claim`, and find that they may not.
    perform pgdial.wake('drain');
    return 'draining';
end $$;
