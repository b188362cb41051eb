-- wake: tell idle workers that there may be work. A hint, never a promise: polling is what guarantees progress.
-- One identical payload per kind, which Postgres folds within a transaction.
-- p_what: claim (a call may be due, a slot or a number free), sweep (an event is parked, a cancel is requested,
-- a dial is in doubt) or drain (a worker was told to finish).
--   select pgdial.wake();                              -- after a bulk insert with pgdial.notify = off
create or replace function pgdial.wake(p_what text default 'claim') returns void
language sql volatile
as $$ select pg_notify('pgdial_wake', p_what) $$;

-- wake_on_change: a person's UPDATE of a trunk, a campaign or the clock wakes workers too.
create or replace function pgdial.wake_on_change() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('pgdial_wake', 'claim');
    return null;
end $$;

create or replace trigger wake after insert or update on pgdial.trunks
    for each statement execute function pgdial.wake_on_change();
create or replace trigger wake after insert or update on pgdial.campaigns
    for each statement execute function pgdial.wake_on_change();
create or replace trigger wake after insert or update on pgdial.caller_ids
    for each statement execute function pgdial.wake_on_change();
create or replace trigger wake after update on pgdial.clock
    for each statement execute function pgdial.wake_on_change();
-- Not on seen_at, which every heartbeat updates.
create or replace trigger wake after update of system_identifier, database, timeline, synchronous on pgdial.cluster
    for each statement execute function pgdial.wake_on_change();
