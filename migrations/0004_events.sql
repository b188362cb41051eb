-- What happened (call_events) and what providers told us (webhook_events).

create sequence pgdial.call_events_seq;

-- Append-only: one row for each transition, never updated. xid lets a reader
-- stop below the oldest writing transaction and so never skip a late commit.
create table pgdial.call_events (
    seq bigint not null default nextval('pgdial.call_events_seq'),
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null,
    call_id uuid not null,
    claim_no bigint not null,
    attempt int not null,
    kind text not null,
    detail jsonb not null default '{}'
) partition by range (at);
alter sequence pgdial.call_events_seq owned by pgdial.call_events.seq;
create index call_events_by_call on pgdial.call_events (call_id, seq);

-- Weeks are attached by pgdial.ensure_partitions. The default partition makes
-- sure that an event always has a home, whatever the clock says.
create table pgdial.call_events_default partition of pgdial.call_events default;

-- Every distinct event that passed its signature. A delivery is answered 2xx only
-- after its row here is durable.
create table pgdial.webhook_events (
    id bigint generated always as identity primary key,
    trunk text not null,
    reference text not null,              -- '' when the URL named none
    event_id text not null,
    received_at timestamptz not null,
    deliveries int not null default 1,
    last_delivery_at timestamptz not null,
    verdict text not null check (verdict in
        ('applied', 'noted', 'stale', 'late_answer', 'mismatch', 'parked', 'unparsable')),
    try_at timestamptz not null,          -- while parked: when the sweep tries to apply it
    call_id uuid,
    report jsonb not null,                -- the body as the trunk's adapter read it
    body bytea not null                   -- the body as it came
) with (autovacuum_vacuum_scale_factor = 0.05);
create unique index webhook_events_once on pgdial.webhook_events (trunk, reference, event_id);
create index webhook_events_parked on pgdial.webhook_events (try_at) where verdict = 'parked';
create index webhook_events_parked_by_provider on pgdial.webhook_events (trunk, (report ->> 'provider_call_id'))
    where verdict = 'parked';
create index webhook_events_received on pgdial.webhook_events (received_at);
