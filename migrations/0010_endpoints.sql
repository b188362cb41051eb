-- Endpoints: where events are delivered to (outgoing webhooks), how far each has got, and every delivery.

create table pgdial.endpoints (
    id bigint generated always as identity primary key,   -- a name can be given again, and deliveries outlive it
    name text not null unique check (name ~ '^[a-z0-9][a-z0-9_@.-]{0,62}$'),   -- what people and acts call it
    url text not null check (url ~ '^https?://' and length(url) <= 2000),   -- where its events are sent, by POST
    kinds text[] not null check (cardinality(kinds) between 1 and 100),
    campaigns text[] check (cardinality(campaigns) between 1 and 100),
    paused boolean not null default false,
    paused_at timestamptz,                -- since when
    paused_by text,                       -- who; pgdial: it was gone, or failed for days
    paused_why text,                      -- the reason given
    resumed_at timestamptz,               -- the last time
    created_at timestamptz not null default pgdial.now()   -- it gets events from here on
);
comment on table pgdial.endpoints is 'where events are delivered to: outgoing webhooks';
comment on column pgdial.endpoints.kinds is 'kinds of events that it gets';
comment on column pgdial.endpoints.campaigns is 'only events of calls of these campaigns; null: of all';
comment on column pgdial.endpoints.paused is 'by a person, or by pgdial after 410 or three days of failure; its events are kept';

-- What signs. No role but the owner reads it: the verb that hands out deliveries signs them.
create table pgdial.endpoint_secrets (
    id bigint generated always as identity primary key,   -- the highest of an endpoint is its newest secret
    endpoint bigint not null references pgdial.endpoints (id) on delete cascade,   -- whose requests it signs
    inner_key bytea not null,             -- the two keys of HMAC-SHA256: the secret, padded, xor 0x36 and xor 0x5c
    outer_key bytea not null,             -- the second of them
    until timestamptz                     -- of the one before the newest: when it no longer signs
);
comment on table pgdial.endpoint_secrets is 'signing secrets of endpoints; two while one is being replaced';
create index endpoint_secrets_of on pgdial.endpoint_secrets (endpoint, id);

-- Apart from the settings, because it changes with each delivery, and because whoever writes an endpoint's
-- deliveries locks this row first.
create table pgdial.endpoint_progress (
    endpoint bigint primary key references pgdial.endpoints (id) on delete cascade,   -- whose progress it is
    cursor text not null,                 -- of the event log: everything up to it is delivered, or a row of deliveries
    sender uuid,                          -- the process that delivers to it
    sender_until timestamptz,             -- when another may take over, unless it renews this
    failures int not null default 0,      -- attempts in a row that failed
    failing_since timestamptz,            -- the first of them
    last_error text,                      -- of the last of them
    held_until timestamptz,               -- nothing is sent before
    delivered_at timestamptz,             -- the last success
    unfinished int not null default 0     -- its deliveries that are queued or pending
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table pgdial.endpoint_progress is 'how far each endpoint has got, and which process delivers to it';

-- One row per event and endpoint. Two states are unfinished: pending, whose turn it is, and queued, behind an earlier
-- event of the same call.
create table pgdial.deliveries (
    endpoint bigint not null,             -- no foreign key: housekeeping removes what is left of a deleted one
    xid xid8 not null,                    -- the event's place in the log, and so in the order
    seq bigint not null,                  -- which of its transaction's events
    at timestamptz not null,              -- of the event
    kind text not null,                   -- of the event, or test
    call_id uuid,                         -- null: a test
    state text not null check (state in ('queued', 'pending', 'delivered', 'given_up')),   -- how far it has got
    attempts int not null default 0,      -- never goes down: what an attempt's result must name
    tries int not null default 0,         -- those since it was last queued: its place in the schedule
    next_at timestamptz not null,         -- when it is due; of one being sent, when it counts as lost
    sent_at timestamptz,                  -- start of the attempt under way
    ended_at timestamptz,                 -- when it was delivered or given up
    body text,                            -- what is sent, from the first attempt on
    log jsonb not null default '[]',      -- the latest attempts: at, ms, status, error, response
    primary key (endpoint, xid, seq),
    constraint deliveries_end check ((ended_at is null) = (state in ('queued', 'pending')))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
comment on table pgdial.deliveries is 'every event that is or was to be delivered to an endpoint, with its attempts';
-- At most one event of a call is on its way to an endpoint.
create unique index deliveries_in_order on pgdial.deliveries (endpoint, call_id) where state = 'pending';
create index deliveries_due on pgdial.deliveries (endpoint, next_at, xid, seq) where state = 'pending';
create index deliveries_unfinished on pgdial.deliveries (endpoint, call_id, xid, seq) include (at)
    where state in ('queued', 'pending');
create index deliveries_given_up on pgdial.deliveries (endpoint, xid, seq) where state = 'given_up';
create index deliveries_of_call on pgdial.deliveries (call_id);
create index deliveries_ended on pgdial.deliveries (ended_at) where ended_at is not null;

-- An event on its way from the log to deliveries.
create type pgdial.deliverable as (xid xid8, seq bigint, at timestamptz, kind text, call_id uuid);

-- Before the steps that lock partitions.
update pgdial.housekeeping_steps set ordinal = ordinal + 100 where step like '%_partitions';
insert into pgdial.housekeeping_steps (step, ordinal) values ('drop_deliveries', 7);
update pgdial.housekeeping_steps set ordinal = ordinal - 99 where step like '%_partitions';
