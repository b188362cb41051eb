-- What people do to the queue: who, when, why; workers that are told to go; numbers that
-- are to be forgotten.

-- Append-only: one row for each act on a campaign, a trunk, a worker, a number, or on many calls
-- at once (each call has its own event as well). Kept at least 400 days, see housekeeping.
-- Only `forget` changes a row: it takes the number out of it.
create table pgdial.acts (
    seq bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null,
    by text not null,                             -- who, in their own words: api:crm, cli:ann, an SQL role
    login text not null default session_user,     -- whose connection it was: nobody can choose that
    act text not null,                            -- pause, resume, set, create, remove, cancel, redrive, drain, ...
    kind text not null check (kind in ('campaign', 'trunk', 'worker', 'number', 'calls', 'cluster')),
    name text,                                    -- of the campaign, trunk, worker or number
    why text,
    detail jsonb not null default '{}'
);
create index acts_of on pgdial.acts (kind, name, seq);

-- Told to go: it claims no more, and ends when its dials have ended.
alter table pgdial.workers add column draining boolean not null default false;

-- Which calls: what a filter says, read and checked (pgdial.read_filter). Null: no matter.
create type pgdial.call_filter as (
    ids uuid[], states text[], outcomes text[], phone text, campaign text,
    created_after timestamptz, created_before timestamptz, ended_after timestamptz, ended_before timestamptz
);

-- A call that is over may lose its number (pgdial.forget). Not valid: the rows that there are
-- kept to the stricter rule, and nobody has to read them all again.
alter table pgdial.calls drop constraint calls_phone_is_e164;
alter table pgdial.calls add constraint calls_phone_is_e164 check (
    phone ~ '^\+[1-9][0-9]{6,14}$'
    or (phone = 'forgotten' and state in ('completed', 'failed', 'canceled', 'expired', 'suppressed'))
) not valid;

-- Calls whose number was forgotten, for as long as something about them may still come in.
create table pgdial.forgotten (
    call_id uuid primary key,
    at timestamptz not null
);
