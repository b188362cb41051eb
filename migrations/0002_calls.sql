-- Calls, and what may stand in the way of claiming one.

-- waiting: to be dialled (what for: pgdial.why). In flight, taking a slot and its number: dialing, the provider is
-- being asked; unresolved, nobody knows whether it rings; in_call, the provider has it. Over: completed; failed, its
-- attempts are used up or there can be no other; canceled; expired, its time ran out first; suppressed, the do-not-call
-- list or a missing consent forbids it.
create type pgdial.call_state as enum (
    'waiting', 'dialing', 'unresolved', 'in_call',
    'completed', 'failed', 'canceled', 'expired', 'suppressed'
);

-- How an attempt ended. blocked: the provider refuses this call; capacity, account: it has no room, or does not let the
-- account dial; provider_fault: no response, or a meaningless one; unknown: nobody knows.
create type pgdial.outcome as enum (
    'answered', 'busy', 'no_answer', 'declined', 'invalid_number', 'voicemail', 'unreachable',
    'blocked', 'capacity', 'account', 'provider_fault', 'canceled', 'unknown'
);

-- Calls: one row each, with the facts of the current attempt.
-- A row is born waiting. The claim takes it to dialing, stamps claim_no, lease, deadline and trunk, and from
-- then on the row itself is the slot and the lock on the number: no counter, no second table, nothing in a
-- process. Only a verb that names the row's claim_no moves it on. The CHECKs below tie each state to its
-- columns, so that an UPDATE by hand fails instead of ringing somebody twice.
--
-- The campaign is no foreign key: its row locks would make every enqueue meet.
create table pgdial.calls (
    id uuid primary key,                                   -- UUIDv7: sorts by creation
    phone text not null,                                   -- E.164; the one it rings now or next; forgotten: removed
    numbers text[],                                        -- all numbers of the person, in order; null: only phone
    invalid_numbers text[],                                -- those of them that are invalid, or were somebody else's; null: none
    campaign text not null,                                -- the name of its campaign
    script_id text not null check (length(script_id) between 1 and 200),   -- what the platform is to say, by its own name
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),   -- from the caller, for the platform
    timezone text[],                                       -- where the callee is (IANA), as the caller says; null: not said
    -- where the callee is, a part of a country (ISO 3166), as the caller says; null: not said
    region text check (region ~ '^[A-Z]{2}-[A-Z0-9]{1,3}$'),
    -- of areas: what is known of its place; 0: to be looked up by the sweep
    area int not null default 0,
    consent_at timestamptz,                                -- when the callee agreed to be called; null: not said
    consent_ref text check (length(consent_ref) between 1 and 255),   -- where that is recorded; null: not said
    consent_expires_at timestamptz,                        -- when the consent ends; null: never
    from_number text check (from_number ~ '^\+[1-9][0-9]{6,14}$'),   -- to dial from, as the caller asked; null: any
    priority smallint not null default 0 check (priority between 0 and 9),   -- higher goes first within its campaign
    run_at timestamptz not null,                           -- when it is due, or was
    put_aside_until timestamptz,                           -- as long as it equals run_at: a contact limit has set that
    expires_at timestamptz,                                -- not dialled from then on; null: never
    max_attempts int not null check (max_attempts between 1 and 20),   -- attempts at most, retries included
    state pgdial.call_state not null default 'waiting',    -- where it stands: see the type
    attempt int not null default 0 check (attempt >= 0),   -- counts towards max_attempts, guards nothing
    deferrals int not null default 0,                      -- times it was put back for want of capacity
    claim_no bigint not null default 0,                    -- number of its latest claim; never goes down; 0: never claimed
    -- while it is in flight, which of all claims took it; the highest number: none, or not by a claim
    claim_seq bigint not null default 9223372036854775807,
    claimed_at timestamptz,                                -- when its latest claim took it; null: never
    claimed_by uuid,                                       -- the worker that did; null while waiting
    lease_until timestamptz,                               -- until when its dial may take; null: not dialing
    lease_sec int,                                         -- how long that is, in seconds; null: 60
    deadline_at timestamptz,                               -- in flight: when it is given up as unknown; null: not in flight
    hold_until timestamptz,                                -- its number stays taken until then; null: it is not held
    trunk text,                                            -- of its latest claim; null while waiting
    -- where the latest claim dials: adapter, host and a digest; no other account is asked about it; null: not said
    account text,
    caller_id text,                                        -- what the latest claim dials from; null: the trunk's own
    -- how long it rings at most, in seconds, as the provider was told with the latest claim; meaningless before the first
    ring_timeout_sec int not null default 60,
    -- how long it lasts at most once answered, in seconds, as the provider was told with the latest claim; likewise
    max_duration_sec int not null default 1800,
    -- what the provider was told to do when a machine answers; likewise
    answering_machine text not null default 'ignore',
    provider_call_id text,                                 -- the provider's own id of the present dial; null: not known
    -- of the present dial, as reported before its end: human, machine, fax
    answered_by text,
    -- since the enqueue or last redrive; ends all retries; null: nobody answered
    answered_at timestamptz,
    -- somebody answered before it was redriven with force, or at a wrong number: without force nothing rings them again;
    -- null: nobody
    answered_before timestamptz,
    -- the latest claim before a redrive with force, or at a wrong number: what is reported of it, or of earlier ones, does
    -- not end the call
    forced_claim_no bigint,
    look_up_at timestamptz,                                -- when the sweep asks the provider next; null: by its state
    not_found int not null default 0,                      -- "not found" replies about the present claim
    not_found_since timestamptz,                           -- the first of them; null: none
    -- when its request was sent again: then only the provider's word moves it
    repeated_at timestamptz,
    outcome pgdial.outcome,                                -- of the latest attempt that ended; null: none has
    disposition text check (disposition ~ '^[a-z][a-z0-9_]{0,62}$'),   -- of the same: what the conversation came to
    callback_of uuid,                                      -- the call in which the callee asked for this one; null: none
    result jsonb check (octet_length(result::text) <= 131072), -- the final report's other fields, verbatim; null: none
    last_error text,                                       -- why the latest attempt failed, in words; null: it did not
    cancel_requested_at timestamptz,                       -- when a cancel of the live call was asked for; null: none was
    cancel_requested_by text,                              -- who asked, in their own words
    cancel_requested_why text,                             -- what they gave as the reason; null: nothing
    owner text not null,                                   -- who enqueued it: an API key's name, or the SQL role
    -- the caller's name for the request: the owner has one call of each; null: none was given
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    -- digest of the request, to tell a repeat from another; empty: forgotten
    request_hash bytea not null,
    -- the trace that it was asked for in; says nothing about the call itself; null: none
    traceparent text constraint calls_traceparent_is_w3c
        check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'),
    created_at timestamptz not null,                       -- when it was enqueued
    started_at timestamptz,                                -- when it was first claimed; null: never
    ended_at timestamptz,                                  -- when it came to its end; null: it has not

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

-- The last line of defence of P1: a second call in flight to a number cannot exist. It is not what prevents the
-- attempt; the claim is.
create unique index calls_one_in_flight_per_phone on pgdial.calls (phone)
    where state in ('dialing', 'unresolved', 'in_call');

-- Where a claim may begin to read what is in flight. An index keeps the entry of every ended call until a
-- vacuum removes it, and none can while an old snapshot is held: a claim that reads from the beginning becomes
-- slower with each call. Claims are serialised (the gate), so a number that each takes from a sequence rises
-- with time, and everything still in flight is at or above the least of those seen before:
-- pgdial.in_flight_from. The sweep reads the same index whole for leases and deadlines: that is at most the
-- number of slots.
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
    call_id uuid primary key,             -- refers to calls.id
    until timestamptz not null,           -- when the claim tries it again
    why text not null                     -- what Postgres said
);

-- Calls whose number was forgotten, for as long as something about them may still arrive.
create table pgdial.forgotten (
    call_id uuid primary key,             -- refers to calls.id
    at timestamptz not null               -- when it was forgotten
);
