-- What happened (call_events), what providers reported (webhook_events, answers), and what people did (acts).

create sequence pgdial.call_events_seq;

-- Append-only: one row per transition, never updated. xid lets a reader stop below the oldest writing
-- transaction and so never skip a late commit.
create table pgdial.call_events (
    seq bigint not null default nextval('pgdial.call_events_seq'),   -- drawn in order, but perhaps committed in another
    xid xid8 not null default pg_current_xact_id(),   -- the transaction that wrote it
    at timestamptz not null,              -- when it happened
    call_id uuid not null,                -- refers to calls.id; the call may have been deleted since
    claim_no bigint not null,             -- the claim that it is about; 0: before the first
    attempt int not null,                 -- of the call, at that time
    kind text not null,                   -- waiting (enqueued), active (claimed), in_call, answered, retried, completed, ...
    detail jsonb not null default '{}',   -- what belongs to this kind: outcome, why, by, trunk, provider_call_id, result, ...

    -- An order that never skips a late commit, since everything below the oldest open writing transaction is
    -- final (pgdial.events_after). A primary key, because Postgres refuses UPDATE and DELETE on a published
    -- table without one. A btree, because followers poll for new events at the end four times a second; BRIN
    -- has no operator class for xid8, and scans what is not summarised yet, which is the end.
    primary key (xid, seq, at)
) partition by range (at);
alter sequence pgdial.call_events_seq owned by pgdial.call_events.seq;
create index call_events_by_call on pgdial.call_events (call_id, seq);

-- Weeks are attached by pgdial.ensure_partitions. The default partition ensures that every event has a
-- partition, whatever the clock says.
create table pgdial.call_events_default partition of pgdial.call_events default;

-- Every distinct event whose signature was verified. A delivery gets 2xx only after its row here is durable.
create table pgdial.webhook_events (
    id bigint generated always as identity primary key,   -- order of arrival; what pgdial.replay takes
    trunk text not null,                  -- at whose URL it arrived
    reference text not null,              -- <call id>-<claim_no>, from the URL; empty: it named none
    event_id text not null,               -- by the sender; unique together with the body
    -- with the id: a provider may count its events by call, or not at all. It stays when forget empties the body
    body_digest bytea not null default '',
    received_at timestamptz not null,     -- its first delivery
    deliveries int not null default 1,    -- how often it was delivered
    last_delivery_at timestamptz not null,   -- its latest delivery
    -- what became of it. applied: it moved its call on; noted: kept in the history alone; stale: its dial was over;
    -- late_answer: somebody answered a dial that was given up; mismatch: it is about another dial than it names; parked:
    -- the sweep tries again; unparsable: the adapter cannot read it; unmatched: its call is unknown, or given up on
    verdict text not null check (verdict in
        ('applied', 'noted', 'stale', 'late_answer', 'mismatch', 'parked', 'unparsable', 'unmatched')),
    try_at timestamptz not null,          -- while parked: when the sweep tries to apply it
    call_id uuid,                         -- refers to calls.id; null: not known (yet)
    report jsonb not null,                -- the body as the trunk's adapter parsed it
    body bytea not null                   -- the original body; empty: forgotten
) with (autovacuum_vacuum_scale_factor = 0.05);
create unique index webhook_events_once on pgdial.webhook_events (trunk, reference, event_id, body_digest);
-- Two queues: events whose call is known, and those whose call is not (yet). An account that other software
-- uses too sends any number of the latter, and they must not delay the former.
create index webhook_events_parked on pgdial.webhook_events (try_at) where verdict = 'parked' and call_id is not null;
create index webhook_events_unknown on pgdial.webhook_events (try_at) where verdict = 'parked' and call_id is null;
create index webhook_events_parked_by_provider on pgdial.webhook_events (trunk, (report ->> 'provider_call_id'))
    where verdict in ('parked', 'unmatched');
create index webhook_events_nameless on pgdial.webhook_events (trunk, received_at)
    where verdict = 'parked' and reference = '';
create index webhook_events_taken on pgdial.webhook_events (trunk, received_at) where verdict = 'applied';
create index webhook_events_by_call on pgdial.webhook_events (call_id, id) where call_id is not null;
create index webhook_events_received on pgdial.webhook_events (received_at);
-- The verdicts that people look for. Not the common ones: each webhook would pay for them.
create index webhook_events_odd on pgdial.webhook_events (verdict, id)
    where verdict in ('unparsable', 'mismatch', 'late_answer', 'unmatched');

-- What providers said to the latest dials where there was trouble: the basis for the pause of a trunk, its
-- hold-off, its breaker and the guard of a campaign (sql/rules/evidence.sql). Append-only and short: some rows
-- per campaign and script in trouble, none while all goes well.
create table pgdial.answers (
    seq bigint generated always as identity primary key,   -- order of recording
    at timestamptz not null,             -- when it was recorded
    trunk text not null,                 -- whose provider it was
    campaign text not null,              -- of the call
    script_id text not null,             -- of the call
    from_number text not null,           -- of the call; empty: none was requested
    caller_id text not null,             -- what it was dialled from; empty: the trunk's own number
    call_id uuid not null,               -- refers to calls.id
    number int not null,                 -- a digest of the number, only to tell numbers apart
    -- accepted: it took the call; works: a meaningful response; refused: this request, for good; forbidden: perhaps the
    -- account; capacity: no room; fault: no response, or a meaningless one
    kind text not null check (kind in ('accepted', 'works', 'refused', 'forbidden', 'capacity', 'fault')),
    reason text,                         -- the provider's words; null: none
    concerns text                        -- of a refusal: script, caller_id or request; null: not said
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
create index answers_of_trunk on pgdial.answers (trunk, seq);
create index answers_of_campaign on pgdial.answers (campaign, seq);

-- Append-only: one row per act on a campaign, a trunk, a worker, a number, or on many calls at once (each call
-- has its own event as well). Kept at least 400 days, see housekeeping. Only `forget` changes a row: it removes
-- the number from it.
create table pgdial.acts (
    seq bigint generated always as identity primary key,   -- order of recording
    xid xid8 not null default pg_current_xact_id(),   -- the transaction that wrote it
    at timestamptz not null,                      -- when it was done
    by text not null,                             -- who, in their own words: api:crm, cli:ann, an SQL role
    login text not null default session_user,     -- whose connection it was: cannot be chosen freely
    act text not null,                            -- pause, resume, set, create, remove, cancel, redrive, drain, ...
    -- what it was done to
    kind text not null check (kind in ('campaign', 'trunk', 'calling_hours', 'calendar', 'contact_limit', 'worker', 'number', 'caller_id', 'endpoint', 'calls', 'cluster', 'key')),
    name text,                                    -- of that; the number itself, a worker's id; null: it has none
    why text,                                     -- the reason that was given; null: none
    detail jsonb not null default '{}'            -- what changed, or whom it concerned
);
create index acts_of on pgdial.acts (kind, name, seq);

-- How attempts ended, of campaigns that are judged by it (sql/rules/goals.sql), kept as long as the campaign: retention
-- must not bring a goal out of reach. No number, no words.
create table pgdial.campaign_endings (
    call_id uuid not null,                -- refers to calls.id
    claim_no bigint not null,             -- of the attempt
    campaign text not null,               -- of the call
    at timestamptz not null,              -- when the attempt ended
    outcome pgdial.outcome not null,      -- how it ended
    disposition text,                     -- what the conversation came to; null: nobody said
    cost numeric,                         -- in the platform's currency; null: not reported
    primary key (call_id, claim_no)
);
create index campaign_endings_reached on pgdial.campaign_endings (campaign, outcome) include (cost);
create index campaign_endings_disposed on pgdial.campaign_endings (campaign, disposition) where disposition is not null;
create index campaign_endings_latest on pgdial.campaign_endings (campaign, at desc) include (outcome);
