-- Calls: one row each, with the facts of the current attempt.
--
-- A row is born waiting. The claim takes it to dialing, stamps claim_no, lease, deadline and trunk, and from
-- then on the row itself is the slot and the lock on the number: no counter, no second table, nothing in a
-- process. Only a verb that names the row's claim_no moves it on (P6). The CHECKs below tie each state to its
-- columns, so that an UPDATE by hand fails instead of ringing somebody twice.

create type pgdial.call_state as enum (
    'waiting', 'dialing', 'unresolved', 'in_call',
    'completed', 'failed', 'canceled', 'expired', 'suppressed'
);

create type pgdial.outcome as enum (
    'answered', 'busy', 'no_answer', 'declined', 'invalid_number', 'voicemail', 'unreachable',
    'blocked', 'capacity', 'account', 'provider_fault', 'canceled', 'unknown'
);

create table pgdial.calls (
    id uuid primary key,                                   -- UUIDv7: sorts by creation
    phone text not null,                                   -- the one it rings now or next
    numbers text[],                                        -- all numbers of the person, in order; null: only phone
    invalid_numbers text[],                                -- those of them that a provider has called invalid
    campaign text not null,                                -- no foreign key: its row locks would make every enqueue meet
    script_id text not null check (length(script_id) between 1 and 200),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    timezone text[],                                       -- where the callee is, as the caller says
    region text check (region ~ '^[A-Z]{2}-[A-Z0-9]{1,3}$'),
    area int not null default 0,                           -- what is known of its place; 0: to be looked up by the sweep
    consent_at timestamptz,                                -- when the callee agreed to be called; null: not said
    consent_ref text check (length(consent_ref) between 1 and 255),
    consent_expires_at timestamptz,
    from_number text check (from_number ~ '^\+[1-9][0-9]{6,14}$'),   -- to dial from, as the caller asked
    priority smallint not null default 0 check (priority between 0 and 9),
    run_at timestamptz not null,
    put_aside_until timestamptz,                           -- as long as it equals run_at: a contact limit has set that
    expires_at timestamptz,
    max_attempts int not null check (max_attempts between 1 and 20),
    state pgdial.call_state not null default 'waiting',
    attempt int not null default 0 check (attempt >= 0),   -- counts towards max_attempts, guards nothing
    deferrals int not null default 0,
    claim_no bigint not null default 0,                    -- never goes down: with the id the fencing token
    claim_seq bigint not null default 9223372036854775807, -- while in flight: which of all claims took it
    claimed_at timestamptz,
    claimed_by uuid,
    lease_until timestamptz,
    lease_sec int,                                         -- how long its dial may take; null: 60
    deadline_at timestamptz,
    hold_until timestamptz,                                -- the number stays taken until then
    trunk text,                                            -- stamped by the claim; null while waiting
    account text,
    caller_id text,                                        -- what the latest claim dials from; null: the trunk's own
    ring_timeout_sec int not null default 60,              -- what the provider was told with the latest claim, which
    max_duration_sec int not null default 1800,            -- stamps both; meaningless before the first claim
    answering_machine text not null default 'ignore',      -- likewise stamped: what the provider was told to do then
    provider_call_id text,
    answered_by text,                                      -- of the present dial, as reported before its end: human, machine, fax
    answered_at timestamptz,                               -- since the enqueue or last redrive; ends all retries
    answered_before timestamptz,
    forced_claim_no bigint,
    look_up_at timestamptz,                                -- when the sweep asks next; null: by its state
    not_found int not null default 0,                      -- "not found" replies about the present claim
    not_found_since timestamptz,
    repeated_at timestamptz,                               -- of this claim: then only the provider's word moves it
    outcome pgdial.outcome,                                -- of the latest attempt that ended
    disposition text check (disposition ~ '^[a-z][a-z0-9_]{0,62}$'),   -- of the same: what the conversation came to
    callback_of uuid,                                      -- the call in which the callee asked for this one
    result jsonb check (octet_length(result::text) <= 131072), -- the final report's other fields, verbatim
    last_error text,
    cancel_requested_at timestamptz,
    cancel_requested_by text,
    cancel_requested_why text,
    owner text not null,                                   -- who enqueued it: an API key's name, or the SQL role
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    request_hash bytea not null,
    traceparent text constraint calls_traceparent_is_w3c
        check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'),
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,

    -- A finished call may lose its number (pgdial.forget).
    constraint calls_phone_is_e164 check (
        phone ~ '^\+[1-9][0-9]{6,14}$'
        or (phone = 'forgotten' and state in ('completed', 'failed', 'canceled', 'expired', 'suppressed'))
    ),
    constraint calls_phone_is_one_of_numbers check (numbers is null or cardinality(numbers) between 2 and 10 and phone = any (numbers)),
    constraint calls_waiting_holds_nothing check (
        state <> 'waiting'
        or (lease_until is null and deadline_at is null and trunk is null and claimed_by is null
            and provider_call_id is null and answered_at is null and ended_at is null
            and cancel_requested_at is null)
    ),
    constraint calls_in_flight_is_claimed check (
        state not in ('dialing', 'unresolved', 'in_call')
        or (claim_no > 0 and claimed_at is not null and claimed_by is not null and trunk is not null
            and deadline_at is not null and ended_at is null)
    ),
    constraint calls_dialing_has_lease check (state <> 'dialing' or lease_until is not null),
    constraint calls_finished_has_outcome check (
        state not in ('completed', 'failed') or (outcome is not null and ended_at is not null)
    ),
    constraint calls_terminal_has_ended_at check (
        state not in ('canceled', 'expired', 'suppressed') or ended_at is not null
    )
) with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.05
);

comment on column pgdial.calls.claim_seq is
    'which of all claims took it, while it is in flight; the highest number: none, or not by a claim';
comment on column pgdial.calls.account is
    'where the latest claim dials: adapter, host and a digest; no other account is asked about it';
comment on column pgdial.calls.answered_before is
    'somebody answered this call before it was redriven with force: without force nothing rings them again';
comment on column pgdial.calls.forced_claim_no is
    'the latest claim before a redrive with force: what is reported of it, or of earlier ones, does not end the call';
comment on column pgdial.calls.traceparent is 'the trace that it was asked for in; says nothing about the call itself';

-- The last line of defence of P1: a second call in flight to a number cannot exist. It is not what prevents the
-- attempt; the claim is.
create unique index calls_one_in_flight_per_phone on pgdial.calls (phone)
    where state in ('dialing', 'unresolved', 'in_call');

-- Where a claim may begin to read what is in flight. An index keeps the entry of every ended call until a
-- vacuum removes it, and none can while an old snapshot is held: a claim that reads from the beginning becomes
-- slower with each call. Claims are serialised (the gate), so a number that each takes from a sequence rises
-- with time, and everything still in flight is at or above the least of those seen before:
-- pgdial.in_flight_from. The sweep reads the same index whole for deadlines: that is at most the number of
-- slots.
create sequence pgdial.claim_order owned by pgdial.calls.claim_seq;   -- so that it changes hands with the table
create index calls_in_flight on pgdial.calls (claim_seq) where state in ('dialing', 'unresolved', 'in_call');

-- What the claim reads, in reading order. Terminal rows cost it nothing.
create index calls_claimable on pgdial.calls (campaign, priority desc, run_at, id) include (phone)
    where state = 'waiting';
-- The same for campaigns with calling hours. Whether a call may be dialled changes with the clock of a place, not
-- with the call: however many wait for a closed area, they are passed in one probe.
create index calls_claimable_by_area on pgdial.calls (campaign, priority desc, area, run_at, id) include (phone)
    where state = 'waiting';
create index calls_unplaced on pgdial.calls (id) where state = 'waiting' and area = 0;

create index calls_lease on pgdial.calls (lease_until) where state = 'dialing';
create index calls_held on pgdial.calls (hold_until) include (phone, numbers) where hold_until is not null;
create index calls_expiry on pgdial.calls (expires_at) where state = 'waiting' and expires_at is not null;
create index calls_consent on pgdial.calls (consent_expires_at) where state = 'waiting' and consent_expires_at is not null;
create index calls_ended on pgdial.calls (ended_at) where ended_at is not null;
-- A page of calls by state or campaign, and a count of each, without a walk through the history. Partial: a
-- call enters it once, when it ends, and waiting calls cost nothing. Campaign first, because queries for one
-- campaign are more common than for one state of all, and campaigns can be skipped through one by one.
create index calls_over on pgdial.calls (campaign, state, id) where ended_at is not null;
create index calls_phone on pgdial.calls (phone, id);
create index calls_numbers on pgdial.calls using gin (numbers) where numbers is not null;
create index calls_provider_id on pgdial.calls (trunk, provider_call_id) where provider_call_id is not null;
create unique index calls_idempotency on pgdial.calls (owner, idempotency_key) where idempotency_key is not null;

-- Waiting calls that could not be claimed (a constraint, a user's trigger): the claim passes over them for a
-- while. A separate table, because some of the rows cannot be written at all.
create table pgdial.unclaimable (
    call_id uuid primary key,
    until timestamptz not null,
    why text not null
);

-- Calls whose number was forgotten, for as long as something about them may still arrive.
create table pgdial.forgotten (
    call_id uuid primary key,
    at timestamptz not null
);
